"""Our server, asked everything, live checks included: green in both modes, and nothing skipped that it offers."""

import pytest

from conformance import ProtocolName
from conformance.check import Outcome
from conformance.clauses import read_clauses
from conformance.conftest import Reports

pytestmark = pytest.mark.timeout(600)
RUNS = [(protocol, strict) for protocol in ("whep", "whip") for strict in (False, True)]
NAMES = [f"{protocol}-{'strict' if strict else 'normal'}" for protocol, strict in RUNS]
NOT_OFFERED = {
    "B-02": "our server redirects nobody",
    "C-11": "our server makes no counter-offers",
    "X-07": "our streams have one layer",
}
NEEDS_TOKEN = {"S-01", "S-02", "S-03", "S-05", "S-06"}


@pytest.mark.parametrize(("protocol", "strict"), RUNS, ids=NAMES)
def test_our_server_is_green(our_reports: Reports, protocol: ProtocolName, strict: bool) -> None:
    report = our_reports[protocol, strict]
    fine = (Outcome.PASS, Outcome.INFO, Outcome.SKIP)
    bad = [
        f"{found.check.id} {found.outcome}: {found.observed}" for found in report.findings if found.outcome not in fine
    ]
    assert not bad


@pytest.mark.parametrize(("protocol", "strict"), RUNS, ids=NAMES)
def test_nothing_is_skipped_that_our_server_offers(our_reports: Reports, protocol: ProtocolName, strict: bool) -> None:
    expected = set(NOT_OFFERED) if strict else NOT_OFFERED.keys() | NEEDS_TOKEN
    skipped = {
        found.check.id: found.observed
        for found in our_reports[protocol, strict].findings
        if found.outcome is Outcome.SKIP
    }
    assert skipped.keys() <= expected, skipped


def test_every_claimed_clause_was_judged_on_our_server(our_reports: Reports) -> None:
    judged = {
        clause
        for report in our_reports.values()
        for clause, outcome in report.clauses().items()
        if outcome in (Outcome.PASS, Outcome.INFO)
    }
    assert {clause.id for clause in read_clauses().values() if clause.claimed} <= judged
