"""Rows of all streams, waiting for the networks: a thread of its own takes the most urgent ones, as many as fit.

While a batch is being made the next rows gather, so batches are as large as the load asks for, and a row that comes
while nothing is being made waits for no others. Whoever asked waits for the row where it needs it.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Made = TypeVar("Made")
MAKING_S: Final = 60.0
"""A row that takes longer never comes."""


@dataclass(order=True, slots=True)
class _Row(Generic[Asked, Made]):
    due_s: float
    serial: int
    """The earlier one of two that are due together."""
    asked: Asked = field(compare=False)
    made: "Future[Made]" = field(compare=False)


class Batches(Generic[Asked, Made]):
    """Makes rows in batches, on one thread."""

    def __init__(
        self, make: Callable[[Sequence[Asked]], Sequence[Made]], most: int, prepare: Callable[[], None]
    ) -> None:
        """``make``: one batch of at most ``most``; before the first, ``prepare`` is called on the same thread.

        Errors: those of ``prepare``.
        """
        self._make, self._most = make, most
        self._waiting: list[_Row[Asked, Made]] = []
        self._serials = itertools.count()
        self._news = threading.Condition()
        self._making = False
        ready: Future[None] = Future()
        threading.Thread(target=self._run, args=(prepare, ready), name="networks", daemon=True).start()
        ready.result()

    @property
    def idle(self) -> bool:
        """Whether nothing is being made, and nothing waits."""
        return not self._making and not self._waiting

    def put(self, asked: Sequence[Asked], slack_s: Sequence[float]) -> "list[Future[Made]]":
        """Have rows made, each of which is needed in so long from now. Any thread."""
        now_s = time.monotonic()
        rows = [
            _Row[Asked, Made](now_s + slack, next(self._serials), each, Future())
            for each, slack in zip(asked, slack_s, strict=True)
        ]
        with self._news:
            for row in rows:
                heapq.heappush(self._waiting, row)
            self._news.notify()
        return [row.made for row in rows]

    def _run(self, prepare: Callable[[], None], ready: "Future[None]") -> None:
        try:
            prepare()
        except Exception as error:  # noqa: BLE001  carried to the thread that asked
            ready.set_exception(error)
            return
        ready.set_result(None)
        while True:
            self._serve(self._next())

    def _next(self) -> "list[_Row[Asked, Made]]":
        with self._news:
            self._making = False
            while not self._waiting:
                self._news.wait()
            self._making = True
            return [heapq.heappop(self._waiting) for _ in range(min(self._most, len(self._waiting)))]

    def _serve(self, rows: "list[_Row[Asked, Made]]") -> None:
        try:
            made = self._make([row.asked for row in rows])
        except Exception as error:  # the boundary between batches: one that fails is told to those who wait for it
            log.exception("a batch of %d faces failed", len(rows))
            for row in rows:
                row.made.set_exception(error)
            return
        for row, each in zip(rows, made, strict=True):
            row.made.set_result(each)
