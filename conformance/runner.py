"""Running checks: one after another, each under the whole run's time limit, whatever happens to it.

Only the long ones wait side by side, at the end, each with a session and a record of its own; not in WHIP, where a
stream has one publisher at a time.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from conformance import ProtocolName
from conformance.check import Check, Outcome, Result, inconclusive, skipped
from conformance.recording import Exchange
from conformance.target import Target, Unmet
from conformance.wire import NO_REPLY


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and how it ended."""

    check: Check
    outcome: Outcome
    observed: str
    exchanges: tuple[Exchange, ...]
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    target: Target
    began: datetime
    elapsed_s: float
    banner: str
    """The server's ``Server`` header, or that it sends none."""
    findings: tuple[Finding, ...]

    def count(self, outcome: Outcome) -> int:
        """How many checks ended so."""
        return sum(finding.outcome is outcome for finding in self.findings)

    def clauses(self) -> dict[str, Outcome]:
        """Each clause touched, with the worst outcome of its checks."""
        worst: dict[str, Outcome] = {}
        for finding in self.findings:
            for clause in finding.check.clauses_for(self.target.protocol):
                worst[clause] = min(worst.get(clause, finding.outcome), finding.outcome, key=ORDER.index)
        return dict(sorted(worst.items()))


ORDER = [Outcome.FAIL, Outcome.WARN, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO, Outcome.SKIP]
"""Worst first. A clause is as good as its worst check that ran."""


def chosen(checks: Iterable[Check], protocol: ProtocolName, only: Iterable[str], *, live: bool) -> list[Check]:
    """The checks that apply: of the protocol, of the groups or ids in ``only``, live ones only if asked for."""
    wanted = {name.strip().upper() for name in only}
    return [
        check
        for check in checks
        if protocol in check.protocols and (live or not check.live) and (not wanted or wanted & {check.id, check.group})
    ]


async def run_checks(
    target: Target, checks: Sequence[Check], *, max_s: float, tell: Callable[[Finding], None] = lambda _: None
) -> Report:
    """Run checks in order; ``tell`` hears of each as it ends. What the time limit leaves over is inconclusive.

    Errors: httpx.ConnectError, httpx.ConnectTimeout where nobody is there to be asked.
    """
    began, start = datetime.now(UTC), time.monotonic()
    findings: list[Finding] = []
    banner = await _banner(target)

    async def run(check: Check, server: Target) -> None:
        finding = await _run_one(server, check, start + max_s - time.monotonic(), max_s)
        findings.append(finding)
        tell(finding)

    waiting = [check for check in checks if check.long and target.protocol == "whep"]
    for check in checks:
        if check not in waiting:
            await run(check, target)
    async with asyncio.TaskGroup() as group:
        for check in waiting:
            group.create_task(run(check, target.twin()), name=check.id)
    return Report(target, began, round(time.monotonic() - start, 1), banner, tuple(findings))


async def _banner(target: Target) -> str:
    try:
        reply = await target.wire.request("OPTIONS", target.url)
    except NO_REPLY as error:
        return f"no reply to OPTIONS ({type(error).__name__})"
    finally:
        target.wire.recorder.take()
    return str(reply.headers.get("server", "no Server header"))


async def _run_one(target: Target, check: Check, left_s: float, max_s: float) -> Finding:
    began = time.monotonic()
    result = await _result_of(target, check, left_s, max_s)
    outcome = check.grade(result, strict=target.strict)
    exchanges = target.wire.recorder.take()
    observed = target.wire.recorder.mask(result.observed)
    return Finding(check, outcome, observed, exchanges, round(time.monotonic() - began, 3))


async def _result_of(target: Target, check: Check, left_s: float, max_s: float) -> Result:
    stopped = inconclusive(f"the run's limit of {max_s:g} s was reached")
    if left_s <= 0:
        return stopped
    try:
        async with asyncio.timeout(left_s):
            return await check.run(target)
    except TimeoutError:
        return stopped
    except Unmet as reason:
        return skipped(str(reason))
    except (httpx.HTTPError, OSError) as error:
        return inconclusive(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  # one check that stumbles over a strange reply must not end the run
        return inconclusive(f"the check failed: {type(error).__name__}: {error}")
