"""From a recording to its listeners: each chunk is stored, then told of; whatever happens, the last event comes."""

import logging
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final

from whep_server.compat.announcements import STOPPED, Account, Listener, error_message
from whep_server.compat.chunks import ChunkStore, chunk_name
from whep_server.errors import ServerError
from whep_server.web.closing import Closing
from whep_server.web.exchange import HeaderLines
from whep_server.web.lease import Lease
from whep_server.web.on_air import Recording
from whep_server.web.speech import EventStream, Farewells

logger = logging.getLogger(__name__)

HEADERS: Final[HeaderLines] = [
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
    ("Connection", "keep-alive"),
]
"""Of event streams, as the original has them; CORS comes with every reply."""


def chunk_frames(seconds: float, fps: int) -> int:
    """Pictures in a chunk: as many as begin and end in its time."""
    return max(1, int(seconds * fps))


def told_of(fault: Exception) -> str:
    """What a client is told of a fault of ours: the disk's, or unexpected."""
    return f"cannot be stored: {fault.strerror}" if isinstance(fault, OSError) else "Internal Server Error"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the chunks of one request are given out."""

    account: Account
    store: ChunkStore
    base: str
    """Path under which the server is mounted."""
    fps: int
    held: ExitStack
    """Closed when the last chunk is made, before anybody is told: whoever hears of the end may ask for the next."""

    async def run(self, recording: Recording) -> None:
        """Give out all of it, or the error."""
        last = STOPPED
        try:
            last = await self._chunks(recording)
        finally:
            recording.close()
            self.held.close()
            self.account.end(last)

    async def _chunks(self, recording: Recording) -> dict[str, object]:
        request_id, count = self.account.request_id, 0
        try:
            async for chunk in recording:
                name = chunk_name(chunk.index)
                await self.store.put(request_id, name, chunk.data)
                message = {
                    "event": "chunk",
                    "index": chunk.index,
                    "url": f"{self.base}/chunks/{request_id}/{name}",
                    "total_chunks": chunk.total,
                    "duration": chunk.frames / self.fps,
                    "creation_time": chunk.encode_s,
                }
                self.account.tell(message)
                count += 1
        except ServerError as error:
            return error_message(error.detail)
        except Exception as error:  # ends this request, not the group that its task is in
            logger.exception("chunks could not be given out")
            return error_message(told_of(error))
        return {"event": "complete", "total_chunks": count}


def event_stream(
    listening: AbstractContextManager[Listener], listener: Listener, closing: Closing, lease: Lease | None = None
) -> EventStream:
    """What a listener is told, as the original sends it; ``listening`` is held as long as it is there.

    Nothing is said where the ``lease`` ends: who comes back with a good token and its ``Last-Event-ID`` misses nothing.
    """
    return EventStream(listening, closing, Farewells(listener.last_words), HEADERS, lease)
