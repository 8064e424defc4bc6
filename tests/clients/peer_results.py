"""Puts the reports of `tests.clients.peer_servers` into docs/conformance.md as tables.

python -m tests.clients.peer_results REPORT_FOLDER
"""

import json
import re
import sys
from pathlib import Path

from tests.clients.server_process import ROOT

PAGE = ROOT / "docs" / "conformance.md"
PAIRS = {"whep": ("whep-avatar-whep", "janus-whep-server"), "whip": ("whep-avatar-whip", "simple-whip-server")}
OUTCOMES = ("PASS", "FAIL", "WARN", "INFO", "SKIP", "INCONCLUSIVE")
LONGEST = 120
"""Of a cell. Units: characters."""

Checks = dict[str, dict[str, str]]


def cell(text: str) -> str:
    """Text that a table can hold."""
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return shown.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;").replace("\n", " ")


def result(check: dict[str, str]) -> str:
    """One server's cell."""
    return check["outcome"] if check["outcome"] == "PASS" else f"{check['outcome']}: {cell(check['observed'])}"


def totals(reports: dict[str, dict]) -> list[str]:
    """How often each outcome came, a line a server."""
    lines = ["| Server | " + " | ".join(OUTCOMES) + " |", "| --- |" + " --- |" * len(OUTCOMES)]
    for name, report in reports.items():
        counts = " | ".join(str(report["totals"].get(outcome, 0)) for outcome in OUTCOMES)
        shown = name.removesuffix("-whep").removesuffix("-whip")
        lines.append(f"| {shown} | {counts} |")
    return lines


def differences(ours: Checks, theirs: Checks) -> list[str]:
    """Every check that came out differently, or failed on both."""
    lines = ["| Check | Asks | What | whep-avatar | The other |", "| --- | --- | --- | --- | --- |"]
    for name in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[name], theirs[name]
        if mine["outcome"] != other["outcome"] or mine["outcome"] in ("FAIL", "WARN", "INCONCLUSIVE"):
            lines.append(f"| {name} | {mine['severity']} | {cell(mine['text'])} | {result(mine)} | {result(other)} |")
    return lines


def main(folder: str) -> None:
    page = PAGE.read_text("utf-8")
    for protocol, names in PAIRS.items():
        reports = {name: json.loads((Path(folder) / f"{name}.json").read_text("utf-8")) for name in names}
        ours, theirs = ({check["id"]: check for check in report["checks"]} for report in reports.values())
        table = "\n".join([*totals(reports), "", *differences(ours, theirs)])
        begin, end = f"<!-- {protocol} -->", f"<!-- /{protocol} -->"
        page = re.sub(f"{begin}.*{end}", lambda _, text=f"{begin}\n{table}\n{end}": text, page, flags=re.DOTALL)
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
