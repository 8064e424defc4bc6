"""Every live check is green on the mock that does everything right, and red, for the right reason, on its mutants."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from conformance import ProtocolName
from conformance.check import Check, Outcome
from conformance.checks import live_clients, live_counter, live_extensions, live_lifecycle, live_media, live_restart
from conformance.live_limits import LiveLimits
from conformance.mock.counter_offers import CounterOffers
from conformance.mock.live_mutants import LIVE_MUTANTS, LiveMutant
from conformance.mock.live_side import LiveSides, Times
from conformance.mock.server import MockServer, Setup
from conformance.mock.serving import serving
from conformance.runner import Finding, run_checks
from conformance.target import Options, Target
from conformance.wire import Limits, Wire

CHECKS = {
    check.id: check
    for module in (live_lifecycle, live_media, live_clients, live_counter, live_restart, live_extensions)
    for check in module.CHECKS
}
QUICK = LiveLimits(
    quiet_s=0.2, vanish_s=1.0, goodbye_s=0.4, keyframe_s=0.6, watch_s=0.8, look_s=0.4, steady_s=0.4, settle_s=0.2
)
"""For mutants: what waits for a right server's doing is as long as ever, what waits in vain is short."""
UNHURRIED = LiveLimits(
    quiet_s=0.5, vanish_s=20, goodbye_s=10, keyframe_s=10, watch_s=1.5, look_s=0.5, steady_s=0.5, settle_s=0.5
)
"""For the right mock: limits that a busy machine does not reach."""
MAX_S = 60.0
PAIRS = [(name, protocol) for name, check in CHECKS.items() for protocol in sorted(check.protocols)]


@asynccontextmanager
async def mock_target(mutant: LiveMutant, protocol: ProtocolName, limits: LiveLimits) -> AsyncIterator[Target]:
    """A mock with a live side, and a target that is it."""
    http = Limits(poll_s=0.05, slow_reply_s=limits.connect_s, live=limits)
    async with LiveSides(mutant.faults, mutant.times) as sides:
        handler = MockServer(Setup(protocol, strict=mutant.strict), sides.open).handle
        if mutant.counters:
            handler = CounterOffers(handler, sides).handle
        async with serving(mutant.wrap(handler)) as base, Wire(limits=http) as wire:
            yield Target(Options(protocol, f"{base}/live"), wire)


async def fault_of(mutant: LiveMutant, protocol: ProtocolName) -> str | None:
    """What is wrong with the check's verdict on its mutant."""
    async with mock_target(mutant, protocol, replace(QUICK, **mutant.limits)) as target:
        found = (await run_checks(target, [CHECKS[mutant.check]], max_s=MAX_S)).findings[0]
    right = found.outcome.red and re.search(mutant.says, found.observed)
    return None if right else f"{mutant.text}: {found.outcome} {found.observed}"


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
async def test_a_check_is_red_on_each_of_its_mutants_and_says_why(name: str, protocol: ProtocolName) -> None:
    mutants = [mutant for mutant in LIVE_MUTANTS if mutant.check == name and protocol in mutant.protocols]
    assert mutants, "a check that cannot fail"
    async with asyncio.TaskGroup() as group:
        verdicts = [group.create_task(fault_of(mutant, protocol)) for mutant in mutants]
    assert not [fault for verdict in verdicts if (fault := verdict.result()) is not None]


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_every_live_check_is_green_on_a_right_server(protocol: ProtocolName) -> None:
    right = LiveMutant("", "nothing wrong", "", times=Times(consent_s=0.1, expires_s=0.5))
    checks = [check for check in CHECKS.values() if protocol in check.protocols and check.id != "C-11"]
    async with mock_target(right, protocol, UNHURRIED) as target:
        report = await run_checks(target, checks, max_s=MAX_S)
    assert not {found.check.id: (found.outcome, found.observed) for found in report.findings if not green(found)}


async def test_a_counter_offer_is_completed() -> None:
    async with mock_target(LiveMutant("", "", "", counters=True), "whep", UNHURRIED) as target:
        report = await run_checks(target, [CHECKS["C-11"]], max_s=MAX_S)
    assert green(report.findings[0]), report.findings[0].observed


def green(found: Finding) -> bool:
    return found.outcome is Outcome.PASS


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_live_check_says_that_it_is_one(check: Check) -> None:
    assert check.live
