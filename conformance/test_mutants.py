"""Each check over HTTP passes the mock as it should be and turns red on each mutant made for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from conformance import ProtocolName
from conformance.catalogue import ALL_CHECKS
from conformance.check import Check, Outcome
from conformance.mock.http import Application
from conformance.mock.mutants import HTTP_MUTANTS, MUTATED
from conformance.mock.mutants_sessions import TOKEN
from conformance.mock.rewriting import Mutant
from conformance.mock.server import MockServer, Setup
from conformance.runner import Finding, run_checks
from conformance.target import Options, Target
from conformance.wire import Limits, Wire

BASE = "http://mock.test"
LIMITS = Limits(abandoned_s=30, poll_s=0.05)
CHECKS = {check.id: check for check in ALL_CHECKS if not check.live}
CASES = [(check, protocol) for check in CHECKS.values() for protocol in sorted(check.protocols)]
MUTANT_CASES = [
    (mutant, protocol)
    for mutant in HTTP_MUTANTS
    for protocol in sorted(mutant.protocols & CHECKS[mutant.check].protocols)
]


def changes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields to replace in a dataclass whose types they do not know."""
    return dict(fields)


async def finding_of(
    check: Check,
    protocol: ProtocolName,
    mutant: Mutant | None = None,
    *,
    strict: bool = False,
    setup: Mapping[str, Any] | None = None,
) -> Finding:
    """One check against the mock, or against a mutant of it."""
    mutant = mutant or Mutant(check.id, "none")
    configured = replace(Setup(protocol, token=TOKEN, strict=strict), **changes(setup or mutant.setup))
    handler = mutant.wrap(MockServer(configured).handle)
    options = Options(
        protocol,
        f"{BASE}/live",
        idle_url=f"{BASE}/idle",
        redirect_url=f"{BASE}/moved",
        stress=True,
        allow_http=True,
        strict=strict,
    )
    limits = replace(LIMITS, **changes(mutant.limits))
    transport = httpx.ASGITransport(Application(handler))
    async with Wire(token=TOKEN, limits=limits, transport=transport) as wire:
        target = Target(replace(options, **changes(mutant.options)), wire)
        return (await run_checks(target, [check], max_s=60)).findings[0]


@pytest.mark.parametrize("strict", [False, True], ids=["normal", "strict"])
@pytest.mark.parametrize(("check", "protocol"), CASES, ids=[f"{check.id}-{protocol}" for check, protocol in CASES])
async def test_a_right_server_passes(check: Check, protocol: ProtocolName, strict: bool) -> None:
    setup = {"abandoned_s": 0.3} if check.id == "L-12" else {}
    finding = await finding_of(check, protocol, strict=strict, setup=setup)
    nothing_to_ask = finding.outcome is Outcome.SKIP and (check.id, protocol) in SKIPPED
    assert nothing_to_ask or finding.outcome in (Outcome.PASS, Outcome.INFO), finding.observed


SKIPPED: set[tuple[str, str]] = set()
"""What the mock has nothing for."""


@pytest.mark.parametrize(
    ("mutant", "protocol"),
    MUTANT_CASES,
    ids=[f"{mutant.check}-{protocol}-{mutant.text.replace(' ', '-')}" for mutant, protocol in MUTANT_CASES],
)
async def test_a_mutant_is_noticed(mutant: Mutant, protocol: ProtocolName) -> None:
    finding = await finding_of(CHECKS[mutant.check], protocol, mutant)
    assert finding.outcome.red, f"{finding.outcome}: {finding.observed}"


def test_every_check_has_a_mutant() -> None:
    assert {check.id for check in ALL_CHECKS} <= MUTATED


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_protocol_of_a_check_has_a_mutant(check: Check) -> None:
    mutated = {protocol for mutant, protocol in MUTANT_CASES if mutant.check == check.id}
    assert mutated == check.protocols
