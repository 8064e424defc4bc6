"""What one more viewer costs the server where all sessions share one UDP port, beside ports of their own.

The same server, pictures and receivers as in ``bench.fanout_cost``. Each way is measured in turn with the other, since
no machine is the same for long.
"""

import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fanout_cost import SERVER_CORES, Fanout, measure_ours
from bench.machine import Machine, this_machine
from bench.placement import placed
from whep_server.settings import Settings


@dataclass(frozen=True, slots=True)
class MuxFigures:
    """All that was measured, each way as often as the other."""

    machine: Machine
    placement: str
    seconds: float
    apart: list[Fanout]
    """Ports of their own."""
    shared: list[Fanout]
    """One port for all."""

    @property
    def apart_ms(self) -> float | None:
        """Milliseconds of processor time a second for one more viewer, in the cheapest round: disturbances only add.

        None where no round carried all numbers of viewers: a machine with other work, which says nothing of ports.
        """
        return _cheapest(self.apart, self.most)

    @property
    def shared_ms(self) -> float | None:
        """The same over one port."""
        return _cheapest(self.shared, self.most)

    @property
    def most(self) -> int:
        """The largest number of viewers that was tried."""
        return max(window.viewers for each in (*self.apart, *self.shared) for window in each.windows)


def _cheapest(rounds: Sequence[Fanout], most: int) -> float | None:
    whole = [each for each in rounds if each.windows[-1].viewers == most and each.carries(each.windows[-1])]
    return min((cost for each in whole if (cost := each.slope_ms) is not None), default=None)


@dataclass(frozen=True, slots=True)
class MuxPlan:
    """What is to be measured. Numbers of viewers are ascending."""

    seconds: float = 8.0
    viewers: Sequence[int] = (1, 100)
    rounds: int = 2


def free_udp_port() -> int:
    """A UDP port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure_mux(settings: Settings, plan: MuxPlan, say: Callable[[str], None]) -> MuxFigures:
    """Run all servers, one after the other. Errors: BenchFailed where one does not serve."""
    apart: list[Fanout] = []
    shared: list[Fanout] = []
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        for _ in range(plan.rounds):
            for title, port, measured in (("own ports", 0, apart), ("one port", free_udp_port(), shared)):
                changes = {"udp_port": str(port)}
                measured.append(
                    measure_ours(title, settings, changes, plan.viewers, plan.seconds, folder, placement, say)
                )
    return MuxFigures(this_machine(), str(placement), plan.seconds, apart, shared)
