"""Check every part of a server on this machine, with the settings that ``serve`` would use, and say what to do.

The order is that in which parts need each other; what is wrong above explains much of what is wrong below.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console

from whep_server import __version__
from whep_server.command.check_capacity import check_capacity
from whep_server.command.check_certificate import check_certificate
from whep_server.command.check_machine import (
    check_encoders,
    check_imports,
    check_limits,
    check_packages,
    check_python,
    check_speed,
    check_text,
    check_time,
)
from whep_server.command.check_models import check_models
from whep_server.command.check_network import check_access, check_ice, check_media, check_port, check_udp
from whep_server.command.check_store import check_assets, check_avatars, check_cache
from whep_server.command.check_worker import check_worker
from whep_server.command.configuration import WrongSettings, misspelt, settings_given
from whep_server.command.findings import Check, Finding, Status
from whep_server.settings import CONFIG_VARIABLE, Settings

CHECKS: Final[Mapping[str, Check]] = {
    "python": check_python,
    "packages": check_packages,
    "imports": check_imports,
    "encoders": check_encoders,
    "assets": check_assets,
    "avatars": check_avatars,
    "cache": check_cache,
    "musetalk": check_models,
    "limits": check_limits,
    "time": check_time,
    "port": check_port,
    "access": check_access,
    "https": check_certificate,
    "udp": check_udp,
    "media": check_media,
    "ice": check_ice,
    "text": check_text,
    "worker": check_worker,
    "speed": check_speed,
    "capacity": check_capacity,
}
"""By the names that ``--only`` takes."""
STYLES: Final = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red"}


def check_settings(given: Mapping[str, object]) -> tuple[Settings | None, list[Finding]]:
    """The settings, None where they cannot be used, and what is to be said of them."""
    fix = f"whep-avatar serve --print-settings lists all with units and bounds; mend it there or in {CONFIG_VARIABLE}"
    try:
        settings = settings_given(**given)
    except WrongSettings as error:
        return None, [Finding("settings", False, wrong, fix) for wrong in error.wrong]
    unread = misspelt()
    says = f"nobody reads {', '.join(unread)}" if unread else f"{len(Settings.model_fields)} can be used"
    return settings, [Finding("settings", not unread, says, fix, fatal=False)]


def examine(given: Mapping[str, object], only: Sequence[str]) -> Iterator[Finding]:
    """All findings, each as soon as it is there; of some checks alone where ``only`` names them."""
    settings, findings = check_settings(given)
    yield from findings
    if settings is None:
        return
    for name, check in CHECKS.items():
        if not only or name in only:
            yield from check(settings)


def say(console: Console, finding: Finding) -> None:
    """One finding for a person."""
    console.print(f"[{STYLES[finding.status]}]{finding.status:>7}[/] {finding.check:11} ", end="")
    console.print(finding.says, markup=False, soft_wrap=True)
    if not finding.ok:
        console.print(f"{'':20}fix: {finding.fix}", markup=False, soft_wrap=True)


def in_sum(findings: Sequence[Finding]) -> str:
    """The last line."""
    failed, warned = (sum(each.status is status for each in findings) for status in (Status.FAILED, Status.WARNING))
    warnings = f", {warned} warning{'s' if warned > 1 else ''}" if warned else ""
    return (f"{failed} to be mended" if failed else "all that a server needs is there") + warnings


def run(given: Mapping[str, object], only: Sequence[str] = (), *, as_json: bool = False) -> int:
    """The checks. The exit status: 0 where a server would work, 1 where something failed."""
    console = Console(highlight=False)
    findings: list[Finding] = []
    for finding in examine(given, only):
        findings.append(finding)
        if not as_json:
            say(console, finding)
    failed = any(each.status is Status.FAILED for each in findings)
    if as_json:
        told = [{"check": f.check, "status": f.status, "says": f.says, "fix": "" if f.ok else f.fix} for f in findings]
        json.dump({"version": __version__, "ok": not failed, "findings": told}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        console.print(in_sum(findings), markup=False)
    return 1 if failed else 0
