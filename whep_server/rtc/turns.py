"""In which order a stream's viewers are sent to, and how much at a time.

A picture for hundreds of viewers keeps the event loop busy for longer than it may be: so it is sent in slices, and in
between the loop does whatever else is due. Each round begins with another viewer, so that nobody is always the last.
"""

import asyncio
import time
from collections import deque
from typing import Final, Protocol

SLICE_S: Final = 0.003
"""About fifty viewers' share of a picture."""


class Served(Protocol):
    """Who takes turns."""

    def serve(self, now_s: float) -> None:
        """It is its turn. Units: seconds on the monotonic clock."""
        ...


class Turns:
    """Those who wait for their turn, in order."""

    def __init__(self) -> None:
        self._waiting: deque[Served] = deque()
        self._rounds = 0

    def join(self, served: Served) -> None:
        """Wait for a turn: it comes as soon as the event loop is free, after those of who came before."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._begin)
        self._waiting.append(served)

    def _begin(self) -> None:
        self._rounds += 1
        self._waiting.rotate(self._rounds)
        self._go_on()

    def _go_on(self) -> None:
        now_s = time.monotonic()
        until_s = now_s + SLICE_S
        while self._waiting and now_s < until_s:
            self._waiting.popleft().serve(now_s)
            now_s = time.monotonic()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)
