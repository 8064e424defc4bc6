"""A report for people: check by check with what was observed, then clause by clause."""

import re
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance import TEXTS, ProtocolName, __version__
from conformance.check import Check, Outcome
from conformance.clauses import read_clauses
from conformance.clients.rules import Verdict
from conformance.clients.witness import Visit
from conformance.runner import Finding, Report

COLOURS: Final = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.WARN: "yellow",
    Outcome.INFO: "cyan",
    Outcome.SKIP: "dim",
    Outcome.INCONCLUSIVE: "magenta",
}
TABLE: Final = re.compile(r"(<!-- checks -->\n).*?(<!-- /checks -->)", re.DOTALL)
"""Where the documentation has its table of checks."""
WIDE: Final = 170
"""Columns where the output is no terminal: a file or a CI log has no edge."""


def console() -> Console:
    """Where reports go."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=WIDE)


def coloured(outcome: Outcome) -> str:
    """An outcome as rich text."""
    return f"[{COLOURS[outcome]}]{outcome}[/]"


def heading(report: Report) -> str:
    """What was tested by what against which texts, and when: results are worth nothing without."""
    target = report.target
    mode = "strict" if target.strict else "normal"
    return "\n".join(
        (
            f"{target.protocol.upper()} conformance of {escape(target.wire.recorder.mask(str(target.url)))}",
            f"tool {__version__} · texts: {TEXTS} · profile {target.profile} · {mode}",
            f"server: {escape(report.banner)} · {report.began:%Y-%m-%d %H:%M:%S} UTC · {report.elapsed_s:g} s",
        )
    )


def checks_table(findings: Iterable[Finding], protocol: ProtocolName) -> Table:
    """Check × clauses × result, with the observed behaviour."""
    table = Table(title="Checks", title_justify="left", expand=False)
    table.add_column("check", no_wrap=True)
    table.add_column("asks", no_wrap=True)
    table.add_column("clauses")
    table.add_column("result", no_wrap=True)
    table.add_column("observed", overflow="fold")
    table.add_column("what", overflow="fold", style="dim")
    for finding in findings:
        check = finding.check
        clauses = " ".join(check.clauses_for(protocol))
        row = (check.id, str(check.severity), clauses, coloured(finding.outcome))
        table.add_row(*row, escape(finding.observed), escape(check.text))
    return table


def clauses_table(report: Report) -> Table:
    """Clause × result: the worst of its checks."""
    register = read_clauses()
    table = Table(title="Clauses", title_justify="left", expand=False)
    for name in ("clause", "level", "section", "result", "checks"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold", style="dim")
    for clause, outcome in report.clauses().items():
        entry = register[clause]
        checks = " ".join(finding.check.id for finding in report.findings if clause in finding.check.clauses)
        table.add_row(clause, entry.level, entry.section, coloured(outcome), checks, escape(entry.text))
    return table


def totals(report: Report) -> str:
    """How many checks ended how."""
    counts = ((outcome, report.count(outcome)) for outcome in Outcome)
    return ", ".join(f"[{COLOURS[outcome]}]{count} {outcome}[/]" for outcome, count in counts if count)


def show(report: Report, out: Console) -> None:
    """Print the whole report."""
    out.print(heading(report), highlight=False)
    out.print(checks_table(report.findings, report.target.protocol))
    out.print(clauses_table(report))
    out.print(totals(report), highlight=False)


def show_visit(visit: Visit, verdicts: Iterable[Verdict], out: Console) -> None:
    """Print what a client did, and how the rules see it."""
    client = next((step.request.header("user-agent") for step in visit.steps), None) or "no User-Agent"
    out.print(f"{visit.protocol.upper()} client, script {visit.script}: {escape(client)}", highlight=False)
    out.print(f"tool {__version__} · texts: {TEXTS} · {'' if visit.connected else 'not '}connected", highlight=False)
    for step in visit.steps:
        out.print(f"  {escape(step.says)} → {step.reply.status}", highlight=False)
    table = Table(title="Rules", title_justify="left", expand=False)
    for name in ("rule", "asks", "clauses", "result"):
        table.add_column(name, no_wrap=True)
    table.add_column("observed", overflow="fold")
    table.add_column("what", overflow="fold", style="dim")
    for verdict in verdicts:
        rule = verdict.rule
        mine = " ".join(clause for clause in rule.clauses if clause[0] == ("I" if visit.protocol == "whip" else "E"))
        row = (rule.id, str(rule.severity), mine, coloured(verdict.outcome))
        table.add_row(*row, escape(verdict.observed), escape(rule.text))
    out.print(table)


def list_checks(checks: Iterable[Check], protocol: ProtocolName, out: Console) -> None:
    """What would be asked."""
    table = Table(title=f"{protocol.upper()} checks", title_justify="left", expand=False)
    for name in ("check", "asks", "tier", "mode", "clauses"):
        table.add_column(name, no_wrap=name != "clauses")
    table.add_column("what", overflow="fold")
    for check in checks:
        mode = "live" if check.live else "http"
        clauses = " ".join(check.clauses_for(protocol))
        table.add_row(check.id, str(check.severity), str(check.tier), mode, clauses, escape(check.text))
    out.print(table)


def markdown_table(checks: Iterable[Check]) -> str:
    """All checks for the documentation."""
    lines = ["| Check | On | Asks | Mode | Clauses | What |", "| --- | --- | --- | --- | --- | --- |"]
    for check in sorted(checks, key=lambda check: check.id):
        on = " ".join(sorted(protocol.upper() for protocol in check.protocols))
        mode = "live" if check.live else "http"
        text = check.text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
        lines.append(f"| {check.id} | {on} | {check.severity} | {mode} | {' '.join(check.clauses)} | {text} |")
    return "\n".join(lines) + "\n"


def with_table(document: str, table: str) -> str:
    """A document with its table of checks replaced."""
    return TABLE.sub(lambda match: match[1] + table + match[2], document)
