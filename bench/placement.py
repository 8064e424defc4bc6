"""Which cores the server and those who measure it run on: different ones where there are enough."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """Cores by who uses them. Both are the same set where there are not enough."""

    server: frozenset[int]
    clients: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether nobody disturbs the server."""
        return not self.server & self.clients

    def __str__(self) -> str:
        if self.apart:
            return f"server on {len(self.server)} cores of its own, receivers on {len(self.clients)} others"
        return f"server and receivers share {len(self.server)} cores"


def share(cores: frozenset[int], for_server: int) -> Placement:
    """So many for the server where that leaves at least one to the clients; else all for all."""
    if len(cores) <= for_server:
        return Placement(cores, cores)
    ordered = sorted(cores, reverse=True)  # the first core gets most of a machine's interrupts: not the server's
    return Placement(frozenset(ordered[:for_server]), frozenset(ordered[for_server:]))


@contextmanager
def placed(for_server: int) -> Iterator[Placement]:
    """``share`` of this machine's cores; this process is a client as long as the block lasts."""
    before = os.sched_getaffinity(0)
    placement = share(frozenset(before), for_server)
    os.sched_setaffinity(0, placement.clients)
    try:
        yield placement
    finally:
        os.sched_setaffinity(0, before)
