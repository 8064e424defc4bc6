"""What the routes need of an utterance, as Protocols; see ``web.on_air``."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol


class Utterance(Protocol):
    """Speech that stands in a stream's queue."""

    @property
    def id(self) -> str:
        """Its name in the events."""
        ...

    @property
    def seconds(self) -> float | None:
        """Length as far as it is known."""
        ...

    @property
    def queued(self) -> int:
        """How many utterances are before it."""
        ...


class Chunk(Protocol):
    """Some frames of a recorded utterance with their sound, as a file (``avatar.messages.SpeechChunk``)."""

    @property
    def index(self) -> int:
        """From 0."""
        ...

    @property
    def total(self) -> int:
        """How many there are in all."""
        ...

    @property
    def frames(self) -> int:
        """Pictures in it."""
        ...

    @property
    def encode_s(self) -> float:
        """Time spent on encoding it."""
        ...

    @property
    def data(self) -> bytes:
        """Fragmented MP4."""
        ...


class Recording(Protocol):
    """The chunks of one utterance as they are made; iterated once. Ends after the last.

    Errors while iterating: NotSpeech, TooLarge, WorkerLost, Unavailable.
    """

    @property
    def utterance(self) -> str:
        """Its id in events and logs."""
        ...

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Itself."""
        ...

    async def __anext__(self) -> Chunk:
        """The next chunk; waits for it."""
        ...

    def close(self) -> None:
        """Nobody wants the rest."""
        ...


class Interruption(Protocol):
    """What an interruption did."""

    @property
    def utterance(self) -> str | None:
        """The one that was cut off; None where nothing was being spoken."""
        ...

    @property
    def played_samples(self) -> int:
        """How much of it was played in all, its fading end included. Units: 48 kHz samples."""
        ...

    @property
    def dropped(self) -> Sequence[str]:
        """Utterances that waited, or were arriving, and will not be spoken."""
        ...


class PcmEvent(Protocol):
    """One thing that happened to an utterance that is spoken while it is made."""

    @property
    def kind(self) -> str:
        """``credit``, ``accepted``, ``started``, ``mark``, ``underrun``, ``resumed``; or, last of all and once,
        ``finished``, ``interrupted`` or ``failed``.
        """
        ...

    @property
    def data(self) -> Mapping[str, str | int | float | None]:
        """Its details; positions are those that are played when it is told. ``credit``: ``bytes``, how many may be
        sent beyond all that was allowed before; the first one comes at once. ``mark``: ``name``. All from ``started``
        on: ``played_samples`` of the utterance (48 kHz) and ``media_time_s`` on the stream's clock, None where it never
        began. ``failed`` and ``interrupted``: ``detail``.
        """
        ...


class PcmSpeech(Protocol):
    """An utterance that is spoken while its samples are made; iterated once, by one task, for its events."""

    @property
    def id(self) -> str:
        """Its name in the events."""
        ...

    async def append(self, data: bytes) -> None:
        """Hand on samples, interleaved 16 bit little endian; waits where more than a window of them is unplayed.

        Errors: BadRequest where a sample is cut in two; Conflict where the utterance is committed or over; WorkerLost.
        """
        ...

    def mark(self, name: str) -> None:
        """Have a ``mark`` event told when what was appended so far is played. Errors: Conflict, TooMany, WorkerLost."""
        ...

    def commit(self) -> None:
        """It is whole. Errors: NotSpeech where nothing was appended; Conflict where it is over; WorkerLost."""
        ...

    def break_off(self, detail: str) -> None:
        """Its producer is gone: what came is spoken to its end, and the events say that it failed. Nothing where it is
        committed or over; where nothing came, it is dropped.
        """
        ...

    async def cancel(self) -> Interruption:
        """Fall silent, or never begin; what else is queued goes on. Does nothing where it is over."""
        ...

    def __aiter__(self) -> AsyncIterator[PcmEvent]:
        """Itself."""
        ...

    async def __anext__(self) -> PcmEvent:
        """The next event; ends after the last one."""
        ...
