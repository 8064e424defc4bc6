"""That the server is about to end: what would stay open for ever is to end then."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from litestar.di import NamedDependency
from litestar.params import SkipValidation


class Closing(asyncio.Event):
    """Set when the server is about to end. Some say goodbye then, before their connections are cut."""

    def __init__(self) -> None:
        super().__init__()
        self._staying = 0
        self._left = asyncio.Event()
        self._left.set()

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Who has to say goodbye, and leaves the block when it is said."""
        self._staying += 1
        self._left.clear()
        try:
            yield
        finally:
            self._staying -= 1
            if not self._staying:
                self._left.set()

    async def until_left(self, longest_s: float) -> None:
        """Until all of them have left, or for so long."""
        try:
            async with asyncio.timeout(longest_s):
                await self._left.wait()
        except TimeoutError:
            return


ClosingEvent = NamedDependency[SkipValidation[Closing]]
"""The event, as a handler's argument."""
