"""What a check is: one question to a server, its severity, the clauses it stands for, and how answers are graded.

A check answers what it saw; it does not decide how bad that is. ``broken`` means "not as expected": a failure where the
text says MUST, a warning where it says SHOULD or where a named client would break (COMPAT), a remark under INFO.

Strict mode judges to the letter: warnings become failures, and what ``lenient`` reports (legal tolerance of clients
that break the rules, such as 204 to a PATCH without If-Match) counts as broken. It is for servers that were configured
to the letter; each check's docstring says where strict makes a difference beyond the warnings.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from conformance import ProtocolName
from conformance.target import Target

PROTOCOLS: Final[dict[str, frozenset[ProtocolName]]] = {
    "both": frozenset({"whip", "whep"}),
    "whip": frozenset({"whip"}),
    "whep": frozenset({"whep"}),
}


class Severity(StrEnum):
    """What a text, or the clients in the field, ask for."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    COMPAT = "COMPAT"
    """Legal, but a named client breaks on it."""
    INFO = "INFO"
    """Recorded only."""


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    WARN = "WARN"
    INFO = "INFO"
    SKIP = "SKIP"
    """A precondition is missing; the reason is what was observed."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The network or the time limit got in the way."""

    @property
    def red(self) -> bool:
        """Whether something is wrong with the server."""
        return self in (Outcome.FAIL, Outcome.WARN)


@dataclass(frozen=True, slots=True)
class Result:
    """What one check saw."""

    outcome: Outcome
    observed: str
    """The server's behaviour in a few words, whatever the outcome."""
    severity: Severity | None = None
    """Graded by this instead of the check's own, where one check asks for things of different weight."""


def passed(observed: str) -> Result:
    """As the text asks."""
    return Result(Outcome.PASS, observed)


def broken(observed: str, severity: Severity | None = None) -> Result:
    """Not as asked: FAIL for a MUST, WARN for SHOULD and COMPAT, INFO for INFO."""
    return Result(Outcome.FAIL, observed, severity)


def warned(observed: str) -> Result:
    """Allowed, or nearly, but not as expected: WARN in a check of any severity."""
    return broken(observed, Severity.SHOULD)


def noted(observed: str) -> Result:
    """Worth recording; neither right nor wrong."""
    return Result(Outcome.INFO, observed)


def skipped(reason: str) -> Result:
    """The question does not arise at this server."""
    return Result(Outcome.SKIP, reason)


def inconclusive(reason: str) -> Result:
    """The question could not be put."""
    return Result(Outcome.INCONCLUSIVE, reason)


def lenient(observed: str, target: Target) -> Result:
    """More tolerant than the letter: a remark, in strict mode broken."""
    return broken(observed) if target.strict else noted(observed)


Run = Callable[[Target], Awaitable[Result]]
GRADES: Final = {
    Severity.MUST: Outcome.FAIL,
    Severity.SHOULD: Outcome.WARN,
    Severity.COMPAT: Outcome.WARN,
    Severity.INFO: Outcome.INFO,
}


def graded(result: Result, severity: Severity, *, strict: bool) -> Outcome:
    """What a result counts as where a question of this severity was asked."""
    if result.outcome is not Outcome.FAIL:
        return result.outcome
    grade = GRADES[result.severity or severity]
    return Outcome.FAIL if strict and grade is Outcome.WARN else grade


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a server."""

    id: str
    protocols: frozenset[ProtocolName]
    severity: Severity
    live: bool
    """Whether it needs ICE, DTLS and media; the others are plain HTTP."""
    tier: int
    """1: the spine, 2: a credible set, 3: nice to have."""
    clauses: tuple[str, ...]
    """Ids of ``clauses.toml``; I- are WHIP's, E- WHEP's, X- the extensions'."""
    text: str
    """What is sent and expected, in one line."""
    run: Run
    long: bool = False
    """Waits half a minute or more for its answer, with a session of its own: where it can, it waits beside others."""

    @property
    def group(self) -> str:
        """The letter of its group."""
        return self.id[0]

    def clauses_for(self, protocol: ProtocolName) -> tuple[str, ...]:
        """The clauses that it stands for in one protocol."""
        mine = ("I-",) if protocol == "whip" else ("E-", "X-")
        return tuple(clause for clause in self.clauses if clause.startswith(mine))

    def grade(self, result: Result, *, strict: bool) -> Outcome:
        """What a result of this check counts as."""
        return graded(result, self.severity, strict=strict)


def check(
    check_id: str,
    *,
    on: Literal["both", "whip", "whep"],
    severity: Severity,
    text: str,
    live: bool = False,
    tier: int = 1,
    clauses: tuple[str, ...] = (),
    long: bool = False,
) -> Callable[[Run], Check]:
    """Make a coroutine function a check. A module lists its checks in ``CHECKS``; nothing is registered by import."""
    return lambda run: Check(check_id, PROTOCOLS[on], severity, live, tier, clauses, text, run, long)
