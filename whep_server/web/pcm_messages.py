"""What is said over ``WS /streams/{stream}/pcm``, and in which order. Pure: messages in, what to do out.

Text frames are JSON objects with a ``type``, binary frames are samples: signed 16 bit, little endian, interleaved. What
cannot be understood is a ``BadMessage`` with a name for programs. For people: docs/streaming-speech.md.
"""

import re
from collections import deque
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from whep_server.errors import BadRequest, ServerError
from whep_server.web.pcm_reader import PcmFormat

SUBPROTOCOL: Final = "whep-avatar.pcm.v1"
MIN_HZ: Final = 8_000
MAX_HZ: Final = 96_000
MAX_CHANNELS: Final = 2
MIN_START_MS: Final = 20
MAX_START_MS: Final = 1_000
MAX_NAME: Final = 256
"""Longest name of a mark, in characters."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Largest message; a larger one ends the connection (1009), as what stands in it is not known."""
AHEAD_BYTES: Final = 256 * 1024
"""So much is read of what cannot be handed on yet: a ``cancel`` behind no more than that is found at once."""
AHEAD_ITEMS: Final = 1024
"""Likewise, counted in messages: marks have no samples."""
PIECE_BYTES: Final = 16 * 1024
"""What is handed on at once: by no more than this the window is overrun."""

SampleRate = Annotated[int, Meta(ge=MIN_HZ, le=MAX_HZ)]
Channels = Annotated[int, Meta(ge=1, le=MAX_CHANNELS)]
StartMs = Annotated[int, Meta(ge=MIN_START_MS, le=MAX_START_MS)]
MarkName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]

TraceParent = Annotated[str, Meta(max_length=MAX_NAME)]


class Begin(msgspec.Struct, frozen=True, tag_field="type", tag="begin"):
    """An utterance begins, spoken after what is queued."""

    sample_rate: SampleRate
    """Units: Hz."""
    channels: Channels = 1
    start_ms: StartMs | None = None
    """Units: ms. It begins with so much in hand; None: as is configured, or as the producer's jitter asks for."""
    traceparent: TraceParent | None = None
    """Of the trace that it is part of (W3C Trace Context); None: as the connection's header says."""


class Append(msgspec.Struct, frozen=True, tag_field="type", tag="append"):
    """Samples, in base64: for clients that can send text only. A binary frame says the same."""

    audio: bytes


class Mark(msgspec.Struct, frozen=True, tag_field="type", tag="mark"):
    """Tell when what was sent so far is played."""

    name: MarkName


class Commit(msgspec.Struct, frozen=True, tag_field="type", tag="commit"):
    """The utterance is whole; the next one may begin."""


class Cancel(msgspec.Struct, frozen=True, tag_field="type", tag="cancel"):
    """Fall silent: the utterance named, or all of this connection's that are not over. What others queued goes on."""

    utterance: str | None = None


class Interrupt(msgspec.Struct, frozen=True, tag_field="type", tag="interrupt"):
    """Fall silent, whoever speaks: as ``POST /streams/{stream}/interrupt``."""


Message = Begin | Append | Mark | Commit | Cancel | Interrupt


class Ready(msgspec.Struct, frozen=True, tag_field="type", tag="ready"):
    """Told to who connects."""

    stream: str
    protocol: str = SUBPROTOCOL
    sample_rates: tuple[int, int] = (MIN_HZ, MAX_HZ)
    """The lowest and the highest."""
    channels: int = MAX_CHANNELS
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_mark_chars: int = MAX_NAME


class Begun(msgspec.Struct, frozen=True, tag_field="type", tag="begun"):
    """Told to who begins."""

    utterance: str
    credit: int
    """So many bytes may be sent; ``credit`` events allow more."""


class Fault(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """Told to who says what cannot be done."""

    utterance: str | None
    """The one that is open, if one is."""
    error: str
    """A name for programs."""
    detail: str
    """Words for people."""
    fatal: bool = False
    """Whether the connection ends."""


Told = Ready | Begun | Fault | dict[str, object]
"""What a client is told; what becomes of an utterance as it is."""


class Gone:
    """Not a message: its client is gone, and nothing follows."""


_DECODER: Final = msgspec.json.Decoder(Message)
_TYPE_FAULT: Final = re.compile(r"at `\$\.type`|field `type`")


class BadMessage(BadRequest):
    """A message that is not understood, or not now."""

    def __init__(self, name: str, detail: str, *, fatal: bool = False) -> None:
        """``name`` is for programs; after a ``fatal`` one the connection cannot go on."""
        super().__init__(detail)
        self.name, self.fatal = name, fatal


def error_name(error: ServerError) -> str:
    """The name of an error for programs: ``AlreadySpeaking`` is ``already-speaking``."""
    if isinstance(error, BadMessage):
        return error.name
    return re.sub(r"\B([A-Z])", r"-\1", type(error).__name__).lower()


def fault(error: ServerError, utterance: str | None) -> Fault:
    """An error as it is told."""
    fatal = isinstance(error, BadMessage) and error.fatal
    return Fault(utterance, error_name(error), error.detail, fatal)


def parse_message(data: str | bytes) -> Message:
    """A frame's content. Errors: BadMessage."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadMessage("too-large", f"a message may have {MAX_MESSAGE_BYTES} bytes", fatal=True)
    if isinstance(data, bytes):
        return Append(data)
    try:
        message: Message = _DECODER.decode(data)
    except msgspec.ValidationError as error:
        name = "unknown-type" if _TYPE_FAULT.search(str(error)) else "bad-member"
        raise BadMessage("not-an-object" if str(error).startswith("Expected `object`") else name, str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage("not-json", str(error)) from None
    return message


# --- the order


class State(StrEnum):
    """Where a connection stands."""

    IDLE = "idle"
    """No utterance is open."""
    OPEN = "open"
    OVER = "over"
    """It was refused, interrupted or cut off while its client was sending: what comes of it is passed over."""


TABLE: Final[dict[State, dict[type[Message], State]]] = {
    State.IDLE: {Begin: State.OPEN, Cancel: State.IDLE, Interrupt: State.IDLE},
    State.OPEN: {
        Append: State.OPEN,
        Mark: State.OPEN,
        Commit: State.IDLE,
        Cancel: State.OPEN,
        Interrupt: State.OPEN,
    },
    State.OVER: {
        Begin: State.OPEN,
        Append: State.OVER,
        Mark: State.OVER,
        Commit: State.IDLE,
        Cancel: State.OVER,
        Interrupt: State.OVER,
    },
}


def step(state: State, message: Message) -> State:
    """The state after a message. Errors: BadMessage where the table has no entry."""
    try:
        return TABLE[state][type(message)]
    except KeyError:
        if isinstance(message, Begin):
            raise BadMessage("already-begun", "commit or cancel the utterance that is open") from None
        raise BadMessage("not-begun", "begin an utterance first") from None


# --- one utterance

Item = bytes | Mark | Commit | Gone
"""What an utterance is handed on as."""


class Intake:
    """What came of one utterance and was not handed on: samples, marks, its end, in order. Pure."""

    def __init__(self, form: PcmFormat) -> None:
        self._form = form
        self._waiting: deque[Item] = deque()
        self._waiting_bytes = 0
        self._allowed = 0
        self._told = False
        self.received = 0
        """Units: bytes."""

    def append(self, data: bytes) -> None:
        """Errors: BadMessage where a sample is cut in two; nothing of it is taken then."""
        size = self._form.frame_bytes
        if len(data) % size:
            raise BadMessage("cut-sample", f"{len(data)} bytes are no whole number of samples of {size} bytes")
        self.received += len(data)
        self._waiting_bytes += len(data)
        for start in range(0, len(data), PIECE_BYTES):
            self._waiting.append(data[start : start + PIECE_BYTES])

    def put(self, message: Mark | Commit | Gone) -> None:
        """After the samples before it."""
        self._waiting.append(message)

    def take(self) -> Item | None:
        """What is to be handed on next; None where there is nothing."""
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        if isinstance(item, bytes):
            self._waiting_bytes -= len(item)
        return item

    def clear(self) -> None:
        """Nobody wants it."""
        self._waiting.clear()
        self._waiting_bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more is to be read before something was handed on."""
        return self._waiting_bytes >= AHEAD_BYTES or len(self._waiting) >= AHEAD_ITEMS

    def allow(self, size: int) -> None:
        """The client was told that it may send so many more bytes."""
        self._allowed += size

    def overrun(self) -> bool:
        """Whether more came than was allowed; once."""
        over, told = self.received > self._allowed, self._told
        self._told = told or over
        return over and not told
