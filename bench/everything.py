"""``whep-avatar bench all``: every live benchmark in a form that takes 20 minutes in all, and the targets beside them.

A benchmark that fails does not stop the others; why it failed stands in its place.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from bench import (
    fanout_report,
    interruptions_report,
    join_report,
    latency_report,
    soak_report,
    speaking_report,
    sync_report,
    targets,
    whip_report,
)
from bench.av_sync import SyncPlan, measure_sync
from bench.fanout_cost import FanoutPlan, measure_fanout
from bench.interruptions import measure_interruptions
from bench.join_time import measure_joins
from bench.latency import measure_latency
from bench.machine import Machine, this_machine
from bench.processes import BenchFailed
from bench.soak import measure_soak
from bench.speaking_streams import measure_speaking
from bench.targets import Row
from bench.whip_delay import measure_whip
from whep_server.settings import Settings

Say = Callable[[str], None]
Result = TypeVar("Result")
ROUNDS: Final = 15
WHIP_ROUNDS: Final = 3
CUTS: Final = 100
CUT_STREAMS: Final = 4
STREAMS: Final = (1, 4, 8, 12, 16)
STREAMS_S: Final = 12.0
JOINS: Final = 20
STORM: Final = 100
SOAK_MIN: Final = 2.0
BEGIN: Final = "<!-- bench all: begin -->"
END: Final = "<!-- bench all: end -->"


@dataclass(frozen=True, slots=True)
class Done:
    """One benchmark's outcome."""

    command: str
    title: str
    took_s: float
    text: str = ""
    figures: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"null"))
    targets: list[Row] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class AllFigures:
    """Everything."""

    machine: Machine
    took_s: float
    done: list[Done]

    @property
    def targets(self) -> list[Row]:
        """Of all benchmarks."""
        return [row for each in self.done for row in each.targets]


Part = Callable[[Settings, Say], Done]


def part(
    name: tuple[str, str],
    measure: Callable[[Settings, Say], Result],
    as_text: Callable[[Result], str],
    as_json: Callable[[Result], str],
    rows: Callable[[Result], list[Row]],
) -> Part:
    """One benchmark: its command and title, how it is run and shown, and which targets it tells of."""
    command, title = name

    def run(settings: Settings, say: Say) -> Done:
        began_s = time.monotonic()
        try:
            result = measure(settings, lambda step: say(f"{command}: {step}"))
        except BenchFailed as error:
            return Done(command, title, time.monotonic() - began_s, failure=str(error))
        figures = msgspec.Raw(as_json(result).encode())
        return Done(command, title, time.monotonic() - began_s, as_text(result), figures, rows(result))

    return run


PARTS: Final[Sequence[Part]] = (
    part(
        ("latency", "From the first byte of speech to sound and lips"),
        lambda settings, say: measure_latency(settings, ROUNDS, say),
        latency_report.as_text,
        latency_report.as_json,
        targets.latency_rows,
    ),
    part(
        ("whip", "From the microphone to the screen"),
        lambda settings, say: measure_whip(settings, WHIP_ROUNDS, say),
        whip_report.as_text,
        whip_report.as_json,
        targets.whip_rows,
    ),
    part(
        ("interrupt", "From an interruption to silence"),
        lambda settings, say: measure_interruptions(settings, CUTS, CUT_STREAMS, say),
        interruptions_report.as_text,
        interruptions_report.as_json,
        targets.interrupt_rows,
    ),
    part(
        ("sync", "Sound and lips together"),
        lambda settings, say: measure_sync(settings, SyncPlan(), say),
        sync_report.as_text,
        sync_report.as_json,
        targets.sync_rows,
    ),
    part(
        ("join", "From a viewer's request to its first picture"),
        lambda settings, say: measure_joins(settings, JOINS, STORM, say),
        join_report.as_text,
        join_report.as_json,
        targets.join_rows,
    ),
    part(
        ("fanout", "Many viewers of one stream"),
        lambda settings, say: measure_fanout(settings, FanoutPlan(), say),
        fanout_report.as_text,
        fanout_report.as_json,
        targets.fanout_rows,
    ),
    part(
        ("sessions", "Many streams that speak"),
        lambda settings, say: measure_speaking(settings, STREAMS, STREAMS_S, say),
        speaking_report.as_text,
        speaking_report.as_json,
        targets.speaking_rows,
    ),
    part(
        ("soak", "Hours of it"),
        lambda settings, say: measure_soak(settings, SOAK_MIN, say),
        soak_report.as_text,
        soak_report.as_json,
        targets.soak_rows,
    ),
)


def measure_all(settings: Settings, say: Say, chosen: Sequence[Part] = PARTS) -> AllFigures:
    """Run them all, one after the other."""
    machine, began_s = this_machine(), time.monotonic()
    done = [run(settings, say) for run in chosen]
    return AllFigures(machine, time.monotonic() - began_s, done)


def as_json(result: AllFigures) -> str:
    """One object: the targets, and each benchmark's figures as its own command gives them."""
    figures = {each.command: each.figures for each in result.done}
    failures = {each.command: each.failure for each in result.done if each.failure}
    whole = {
        "machine": result.machine,
        "took_s": result.took_s,
        "targets": result.targets,
        "figures": figures,
        "failures": failures,
    }
    return msgspec.json.encode(whole).decode()


def as_text(result: AllFigures) -> str:
    """Markdown: a table of the targets, then a section for each benchmark."""
    head = f"{result.machine}; {result.took_s / 60:.0f} minutes in all."
    return "\n\n".join([head, targets.as_table(result.targets), *map(_section, result.done)])


def inserted(document: str, text: str) -> str:
    """A document with ``text`` between its two marks. Errors: ValueError where it has not both."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _section(done: Done) -> str:
    body = f"It failed: {done.failure}" if done.failure else done.text
    return f"## {done.title}: `whep-avatar bench {done.command}`\n\n{body}"
