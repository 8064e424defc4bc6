"""What is made before it is taken, so that who makes it is neither held up by who takes it, nor fills the memory."""

import asyncio
from collections import deque
from contextlib import aclosing

from whep_server.errors import ServerError
from whep_server.web.synthesis import Pcm, Sound


class Backlog:
    """Sound from one task to another; iterated once. When it is full, who makes the sound waits."""

    def __init__(self, most_bytes: int) -> None:
        """It is full from ``most_bytes`` on."""
        self._most_bytes = most_bytes
        self._held: deque[Pcm] = deque()
        self._bytes = 0
        self.error: ServerError | None = None
        """Why it ended early."""
        self._ended = False
        self._changed = asyncio.Event()

    async def fill(self, sound: Sound) -> None:
        """Take all of it, up to its end or its error."""
        try:
            async with aclosing(sound):
                async for pcm in sound:
                    await self._put(pcm)
        except ServerError as error:
            self.error = error
        finally:
            self._ended = True
            self._changed.set()

    async def _put(self, pcm: Pcm) -> None:
        while self._bytes >= self._most_bytes:
            await self._change()
        self._held.append(pcm)
        self._bytes += len(pcm.data)
        self._changed.set()

    def __aiter__(self) -> "Backlog":
        return self

    async def __anext__(self) -> Pcm:
        """The next piece; waits for it."""
        while not self._held and not self._ended:
            await self._change()
        if not self._held:
            raise StopAsyncIteration
        pcm = self._held.popleft()
        self._bytes -= len(pcm.data)
        self._changed.set()
        return pcm

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
