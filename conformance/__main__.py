"""The command line: ``python -m conformance whep URL``, ``… whip URL``, and what else there is to run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import httpx
import typer

from conformance import ProtocolName, matrix
from conformance.catalogue import ALL_CHECKS
from conformance.check import Check, Outcome
from conformance.checks.routes import is_loopback
from conformance.clients.hosting import Stay, visit_of
from conformance.clients.rules import verdicts
from conformance.clients.scripts import SCRIPTS
from conformance.exports import as_json, as_junit
from conformance.runner import Report, chosen, run_checks
from conformance.target import ORIGIN, Options, Profile, Target
from conformance.wire import Wire

PAUSE_S: Final = 0.2
"""Between requests to a server that is not on this machine."""
HTTP_LIMIT_S: Final = 180.0
LIVE_LIMIT_S: Final = 420.0
"""Waiting for consent to run out takes most of it."""

app = typer.Typer(
    help="Is a WHIP or WHEP server what the texts ask for? Only test servers that you run or may test.",
    no_args_is_help=True,
    add_completion=False,
)


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asked for."""

    options: Options
    token: str | None
    verify: bool
    checks: tuple[Check, ...]
    max_s: float
    pause_s: float | None


async def judged(run: Run, tell: Callable[[str], None]) -> Report:
    """The report of a run."""
    pause_s = run.pause_s
    if pause_s is None:
        pause_s = 0.0 if is_loopback(httpx.URL(run.options.url).host) else PAUSE_S
    async with Wire(token=run.token, pause_s=pause_s, verify=run.verify) as wire:
        return await run_checks(
            Target(run.options, wire),
            run.checks,
            max_s=run.max_s,
            tell=lambda finding: tell(f"{finding.check.id} {matrix.coloured(finding.outcome)}"),
        )


def exit_code(report: Report, fail_on: str) -> int:
    """1 where something failed, 2 where a question could not be put, else 0."""
    if report.count(Outcome.FAIL) or (fail_on == "warn" and report.count(Outcome.WARN)):
        return 1
    return 2 if report.count(Outcome.INCONCLUSIVE) else 0


def conduct(run: Run, json_file: Path | None, junit_file: Path | None, fail_on: str) -> None:
    """Run, print, write, and exit with the verdict."""
    out = matrix.console()
    with out.status("asking") as status:
        try:
            report = asyncio.run(judged(run, status.update))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            typer.echo(f"nobody answers at {run.options.url}: {error or 'time-out'}", err=True)
            raise typer.Exit(2) from None
    matrix.show(report, out)
    if json_file is not None:
        json_file.write_text(as_json(report), "utf-8")
    if junit_file is not None:
        junit_file.write_text(as_junit(report), "utf-8")
    raise typer.Exit(exit_code(report, fail_on))


def check_url(url: str) -> str:
    """An http or https address. Errors: typer.BadParameter."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise typer.BadParameter(str(error)) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise typer.BadParameter("an http or https address is needed")
    return url


def check_profile(protocol: ProtocolName, profile: Profile | None) -> None:
    """Errors: typer.BadParameter where the text is the other protocol's."""
    if profile is not None and (profile is Profile.RFC9725) != (protocol == "whip"):
        raise typer.BadParameter(f"{profile} is no text of {protocol.upper()}")


def register(protocol: ProtocolName) -> None:
    """Add the command of a protocol; both have the same options."""

    @app.command(protocol, help=f"Test a {protocol.upper()} endpoint, and print the matrix of checks and clauses.")
    def test(
        url: Annotated[str, typer.Argument(help="The endpoint: where offers are posted.")] = "",
        token: Annotated[
            str | None, typer.Option(envvar="CONFORMANCE_TOKEN", help="Bearer token; it is masked in all output.")
        ] = None,
        strict: Annotated[bool, typer.Option(help="To the letter: warnings fail, and so does lenience.")] = False,
        only: Annotated[str, typer.Option(help="Groups or ids, with commas between, as in D,P,T-05.")] = "",
        live: Annotated[bool, typer.Option(help="Also what needs ICE, DTLS and media.")] = True,
        stress: Annotated[bool, typer.Option(help="Also a burst of requests.")] = False,
        idle_url: Annotated[str | None, typer.Option(help="An endpoint whose stream nobody publishes.")] = None,
        redirect_url: Annotated[str | None, typer.Option(help="An endpoint that redirects to another.")] = None,
        origin: Annotated[str, typer.Option(help="The site that a browser would come from.")] = ORIGIN,
        allow_http: Annotated[bool, typer.Option(help="Do not ask for https.")] = False,
        insecure: Annotated[bool, typer.Option(help="Accept any TLS certificate.")] = False,
        profile: Annotated[Profile | None, typer.Option(help="The text to judge by; the newest by default.")] = None,
        fail_on: Annotated[Literal["fail", "warn"], typer.Option(help="What makes the exit code 1.")] = "fail",
        json: Annotated[Path | None, typer.Option(help="Write the report with all exchanges.")] = None,
        junit: Annotated[Path | None, typer.Option(help="Write the report for CI.")] = None,
        max_seconds: Annotated[float | None, typer.Option(min=1, help="Stop then, wherever it is.")] = None,
        pause: Annotated[float | None, typer.Option(min=0, help="Seconds between requests.")] = None,
        list_only: Annotated[bool, typer.Option("--list", help="Only list the checks.")] = False,
    ) -> None:
        checks = tuple(chosen(ALL_CHECKS, protocol, filter(None, only.split(",")), live=live))
        if list_only:
            matrix.list_checks(checks, protocol, matrix.console())
            return
        check_profile(protocol, profile)
        for address in (url, idle_url, redirect_url):
            if address is not None:
                check_url(address)
        options = Options(
            protocol=protocol,
            url=url,
            origin=origin,
            idle_url=idle_url,
            redirect_url=redirect_url,
            strict=strict,
            stress=stress,
            allow_http=allow_http,
            profile=profile,
        )
        limit_s = max_seconds or (LIVE_LIMIT_S if any(check.live for check in checks) else HTTP_LIMIT_S)
        conduct(Run(options, token, not insecure, checks, limit_s, pause), json, junit, fail_on)


register("whep")
register("whip")


def register_host(name: str, protocol: ProtocolName) -> None:
    """Add the command that waits for a client of a protocol."""
    scripts = [script for script in SCRIPTS if protocol == "whep" or not script.whep_only]

    @app.command(name, help=f"Wait for one {protocol.upper()} {name}, serve it by a script, and judge what it did.")
    def host(
        script: Annotated[
            str, typer.Option(help="; ".join(f"{entry.name}: {entry.text}" for entry in scripts))
        ] = "plain",
        token: Annotated[str | None, typer.Option(help="Ask for this bearer token.")] = None,
        port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0 takes a free one.")] = 0,
        seconds: Annotated[float, typer.Option(min=1, help="The longest that a client may stay.")] = 120,
        strict: Annotated[bool, typer.Option(help="Warnings fail.")] = False,
    ) -> None:
        chosen_script = next((entry for entry in scripts if entry.name == script), None)
        if chosen_script is None:
            raise typer.BadParameter(f"one of {', '.join(entry.name for entry in scripts)}")
        out = matrix.console()
        stay = Stay(stay_s=seconds)
        visit = asyncio.run(
            visit_of(protocol, chosen_script, token, stay, port, lambda url: out.print(url, soft_wrap=True))
        )
        if not visit.steps:
            out.print("nobody came")
            raise typer.Exit(2)
        found = verdicts(visit, strict=strict)
        matrix.show_visit(visit, found, out)
        raise typer.Exit(int(any(verdict.outcome is Outcome.FAIL for verdict in found)))


register_host("player", "whep")
register_host("publisher", "whip")


@app.command()
def table(
    into: Annotated[
        Path | None, typer.Option(help="Replace the table in this document instead of printing it.")
    ] = None,
) -> None:
    """All checks as a Markdown table, as docs/conformance-tool.md has it."""
    text = matrix.markdown_table(ALL_CHECKS)
    if into is None:
        typer.echo(text, nl=False)
        return
    into.write_text(matrix.with_table(into.read_text("utf-8"), text), "utf-8")


if __name__ == "__main__":
    app(prog_name="python -m conformance")
