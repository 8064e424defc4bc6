"""A report for machines: JSON with every exchange, and JUnit XML for CI."""

import json
from dataclasses import asdict
from typing import Final
from xml.etree import ElementTree

from conformance import TEXTS, __version__
from conformance.check import Outcome
from conformance.runner import Finding, Report

JUNIT_CHILD: Final = {
    Outcome.FAIL: "failure",
    Outcome.SKIP: "skipped",
    Outcome.INCONCLUSIVE: "error",
}
"""Warnings and remarks are passes for JUnit, which knows nothing between."""


def as_json(report: Report) -> str:
    """The whole report; secrets are masked as in the recorder."""
    target = report.target
    document = {
        "tool": {"name": "whip-whep-conformance", "version": __version__},
        "texts": TEXTS,
        "profile": str(target.profile),
        "protocol": target.protocol,
        "url": target.wire.recorder.mask(str(target.url)),
        "strict": target.strict,
        "server": report.banner,
        "began": report.began.isoformat(),
        "elapsed_s": report.elapsed_s,
        "totals": {str(outcome): report.count(outcome) for outcome in Outcome},
        "checks": [_finding(report, finding) for finding in report.findings],
        "clauses": {clause: str(outcome) for clause, outcome in report.clauses().items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _finding(report: Report, finding: Finding) -> dict[str, object]:
    check = finding.check
    return {
        "id": check.id,
        "severity": str(check.severity),
        "tier": check.tier,
        "live": check.live,
        "clauses": check.clauses_for(report.target.protocol),
        "text": check.text,
        "outcome": str(finding.outcome),
        "observed": finding.observed,
        "elapsed_s": finding.elapsed_s,
        "exchanges": [asdict(exchange) for exchange in finding.exchanges],
    }


def as_junit(report: Report) -> str:
    """One test case a check, one suite a run."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"conformance.{report.target.protocol}",
        tests=str(len(report.findings)),
        failures=str(report.count(Outcome.FAIL)),
        errors=str(report.count(Outcome.INCONCLUSIVE)),
        skipped=str(report.count(Outcome.SKIP)),
        time=f"{report.elapsed_s:.3f}",
        timestamp=report.began.isoformat(timespec="seconds"),
    )
    for finding in report.findings:
        name = f"{finding.check.id} {finding.check.text}"
        case = ElementTree.SubElement(suite, "testcase", name=name, time=f"{finding.elapsed_s:.3f}")
        case.set("classname", f"{report.target.protocol}.{finding.check.group}")
        child = JUNIT_CHILD.get(finding.outcome)
        if child is not None:
            ElementTree.SubElement(case, child, message=_xml_text(finding.observed))
        else:
            ElementTree.SubElement(case, "system-out").text = _xml_text(f"{finding.outcome}: {finding.observed}")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _xml_text(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return "".join(char if char >= " " or char in "\t\n" else "\N{REPLACEMENT CHARACTER}" for char in text)
