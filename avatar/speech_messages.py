"""What is said to the worker about utterances, and what it says of them: part of ``avatar.messages``."""

from enum import StrEnum

import msgspec

# --- server to worker


class SpeechData(msgspec.Struct, frozen=True, tag=True):
    """A piece of an utterance's file, in order; the first one opens the utterance. At most 256 KiB each."""

    stream: str
    utterance: str
    epoch: int
    data: bytes
    last: bool


class RecordSpeech(msgspec.Struct, frozen=True, tag=True):
    """Also make files of an utterance: comes before its first ``SpeechData``; answered by ``SpeechChunk``s.

    It is accepted when all of it is decoded. Where a picture comes too late for viewers, the one before it is shown for
    longer in the files too.
    """

    stream: str
    utterance: str
    chunk_frames: int
    """Frames in each chunk but the last."""
    whole: bool = False
    """The chunks are the pieces of one file; else each is a file of its own."""


class OpenLive(msgspec.Struct, frozen=True, tag=True):
    """A live utterance begins, after what is queued: a publisher's packets follow.

    Answered at once, by ``SpeechAccepted`` or ``SpeechRefused``; then started and finished as a file is.
    """

    stream: str
    utterance: str
    epoch: int
    barges_in: bool = False
    """Whether ``VoiceHeard`` is to be told when its voice is heard before its turn."""
    listens: bool = False
    """Its turn never comes: it is only listened to, until it is closed or abandoned, whatever is interrupted meanwhile.
    ``VoiceHeard`` is told each time a voice begins; it is neither started nor finished.
    """


class LivePacket(msgspec.Struct, frozen=True, tag=True):
    """One Opus packet of a live utterance, as it came: others may be lost, doubled, late or before their turn."""

    stream: str
    utterance: str
    sequence: int
    """Of RTP, extended: does not wrap."""
    rtp_time: int
    """Units: 48 kHz ticks, extended likewise."""
    data: bytes


class CloseLive(msgspec.Struct, frozen=True, tag=True):
    """No more packets come: what is held is played, then the live utterance has finished."""

    stream: str
    utterance: str


class AbandonSpeech(msgspec.Struct, frozen=True, tag=True):
    """Forget an utterance that has not started, live or not. Not answered; unknown and started ones stay."""

    stream: str
    utterance: str


class OpenPcm(msgspec.Struct, frozen=True, tag=True):
    """An utterance begins, after what is queued, whose samples follow as they are made (``PcmChunk``).

    Answered by ``SpeechRefused`` at once, or by ``SpeechAccepted`` when there is enough of it to begin with; then
    started and finished as a file is.
    """

    stream: str
    utterance: str
    epoch: int
    sample_rate: int
    """Units: Hz, 8000 to 96000."""
    channels: int
    """1 or 2; they are mixed."""
    start_ms: int
    """So much is there before it begins, besides what the engine looks ahead, unless less is all.

    It hides the jitter of who makes it: two frames, and by how much a piece may be later than another.
    """


class PcmChunk(msgspec.Struct, frozen=True, tag=True):
    """Samples of an utterance, in order; at most 256 KiB. Answered by ``PcmTaken`` as they are played."""

    stream: str
    utterance: str
    data: bytes
    """Shapes: (n, channels) int16, little endian."""


class PcmMark(msgspec.Struct, frozen=True, tag=True):
    """Tell, by ``SpeechMark``, when what came of the utterance before this is played."""

    stream: str
    utterance: str
    name: str


class ClosePcm(msgspec.Struct, frozen=True, tag=True):
    """The utterance is whole."""

    stream: str
    utterance: str


class Interrupt(msgspec.Struct, frozen=True, tag=True):
    """Fall silent: what is spoken at ``at`` is faded out from there and is over; answered by ``Interrupted``, always.

    Units made from now on, for times from ``at`` on, bear ``epoch``. Those for such times that were made before are
    made anew, pictures from the first frame at or after ``at``, beginning with a keyframe, the mouth easing shut. A
    stretch that was to end at a later frame (``WentIdle`` was sent) is live again and ends anew; one that ended before
    stays as it is. What was told for that time is void, and told anew where it holds: the start of an utterance at
    ``at`` or later; ends, marks and pauses later than ``at``. What comes for utterances that are over is ignored.

    An ``at`` before the live stretch's start, or before an earlier interruption, counts as that; one that is not
    granted counts as the latest that is.
    """

    stream: str
    epoch: int
    at: int
    """Units: 48 kHz samples on the stream's clock, a multiple of ``OPUS_SAMPLES``; what is due before it stays."""
    utterance: str = ""
    """The one that is to end; others go on after it. Empty: all of an older epoch, queued and arriving ones too, but
    for a live one that barges in (``OpenLive``) and has not started: its turn has come.
    """


# --- worker to server


class SpeechRefusal(StrEnum):
    """Why an utterance cannot be spoken; each has its own HTTP status."""

    NOT_AUDIO = "not audio"
    EMPTY = "empty"
    TOO_LONG = "too long"
    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    UNKNOWN_STREAM = "unknown stream"


class SpeechAccepted(msgspec.Struct, frozen=True, tag=True):
    """The first samples are decoded: the utterance stands in the stream's queue."""

    stream: str
    utterance: str
    seconds: float | None
    """Length as far as it is known already."""


class SpeechRefused(msgspec.Struct, frozen=True, tag=True):
    """The utterance is dropped; nothing of it was played."""

    stream: str
    utterance: str
    reason: SpeechRefusal
    detail: str


class SpeechStarted(msgspec.Struct, frozen=True, tag=True):
    """The utterance's first sample is played at ``media_time``."""

    stream: str
    utterance: str
    media_time: int
    """Units: 48 kHz samples on the stream's clock. Sent before the units it speaks of."""


class SpeechFinished(msgspec.Struct, frozen=True, tag=True):
    """The utterance's last sample is played before ``media_time``."""

    stream: str
    utterance: str
    media_time: int
    samples: int
    """How many samples of it are played in all."""
    error: str | None
    """Why it ended early (a file that broke off), or None."""


class SpeechChunk(msgspec.Struct, frozen=True, tag=True):
    """Some frames of a recorded utterance, with their sound, as fragmented MP4. All come before ``SpeechFinished``."""

    stream: str
    utterance: str
    index: int
    total: int
    """How many chunks the utterance has in all."""
    frames: int
    encode_s: float
    """Time spent on encoding it."""
    data: bytes


class PcmTaken(msgspec.Struct, frozen=True, tag=True):
    """So much of an utterance's ``PcmChunk``s does not wait any more: who makes it may send as much again."""

    stream: str
    utterance: str
    size: int
    """Units: bytes, all in all since it was opened."""


class SpeechMark(msgspec.Struct, frozen=True, tag=True):
    """A mark's place is played at ``media_time``. Sent before the units it speaks of."""

    stream: str
    utterance: str
    name: str
    media_time: int
    """Units: 48 kHz samples on the stream's clock."""
    samples: int
    """How many samples of the utterance are played by then. Units: 48 kHz."""


class SpeechHeld(msgspec.Struct, frozen=True, tag=True):
    """Who makes the utterance has not kept up: from ``media_time`` on it pauses (``samples``: as in ``SpeechMark``)."""

    stream: str
    utterance: str
    media_time: int
    samples: int


class SpeechResumed(msgspec.Struct, frozen=True, tag=True):
    """It goes on at ``media_time``."""

    stream: str
    utterance: str
    media_time: int
    samples: int


class Interrupted(msgspec.Struct, frozen=True, tag=True):
    """Answer to ``Interrupt``; what it names is neither started nor finished after this."""

    stream: str
    epoch: int
    utterance: str | None
    """The one that was cut off; None where none had started, or it had ended before."""
    media_time: int
    """Its last sample, faded, is played before this. Units: 48 kHz samples on the stream's clock."""
    samples: int
    """How many samples of it are played in all. Units: 48 kHz."""
    dropped: list[str]
    """Those that had not started."""


class VoiceHeard(msgspec.Struct, frozen=True, tag=True):
    """Somebody speaks in a live utterance whose turn has not come; once, where ``OpenLive`` asks for it, and each time
    a voice begins where it ``listens``.
    """

    stream: str
    utterance: str
