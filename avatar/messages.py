"""What crosses between server and worker: the messages; how they look on the wire is ``avatar.framing``'s. No clock.

The server owns time. It grants each live stream the frames that may be made (``Advance``); the worker never looks at a
clock to decide what to make, so that the same messages can cross a network whose ends disagree about the time.

Frame numbers and audio positions count from the start of the stream: video frame k stands at k / fps seconds, audio
sample n at n / 48000 seconds, on the stream's one clock.
"""

from enum import StrEnum

import msgspec

from avatar.formats import AUDIO_HZ as AUDIO_HZ
from avatar.formats import FRAME_RATES as FRAME_RATES
from avatar.formats import IDLE_PHASES as IDLE_PHASES
from avatar.formats import OPUS_SAMPLES as OPUS_SAMPLES
from avatar.formats import VIDEO_HZ as VIDEO_HZ
from avatar.formats import Codec as Codec
from avatar.formats import VideoFormat as VideoFormat
from avatar.formats import idle_grid as idle_grid
from avatar.formats import start_grid as start_grid
from avatar.user_avatars import AvatarDropped as AvatarDropped
from avatar.user_avatars import AvatarInfo as AvatarInfo
from avatar.user_avatars import AvatarPrepared as AvatarPrepared
from avatar.user_avatars import AvatarRefusal as AvatarRefusal
from avatar.user_avatars import AvatarRefused as AvatarRefused
from avatar.user_avatars import DropAvatar as DropAvatar
from avatar.user_avatars import PrepareAvatar as PrepareAvatar


class Unit(msgspec.Struct, frozen=True, tag=True):
    """One encoded picture (H.264 Annex B or VP8) or one Opus packet."""

    stream: str
    epoch: int
    codec: Codec
    media_time: int
    """Units: ticks of the RTP clock since the stream's start: 90 kHz for pictures, 48 kHz for Opus."""
    keyframe: bool
    data: bytes


# --- server to worker


class WorkerConfig(msgspec.Struct, frozen=True):
    """All the worker is told about its surroundings."""

    assets: str
    """Directory of the shipped models."""
    avatars: str
    """Directory of the shipped avatars."""
    cache: str
    """Directory for encoded idle loops."""
    threads: int = 2
    """Threads that compose and encode."""
    max_speech_s: float = 600.0
    """Longest utterance."""
    max_upload_bytes: int = 64 * 1024 * 1024
    decode_timeout_s: float = 10.0
    """Longest time decoding may go without a new sample."""
    log_level: str = "INFO"
    prepared: str = ""
    """Directory of the avatars that users prepare; none where it is empty."""


class Configure(msgspec.Struct, frozen=True, tag=True):
    """First message: the worker loads its models and answers ``Ready``."""

    config: WorkerConfig


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``Pong`` with the same serial."""

    serial: int


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """The worker ends its process, exit status 0."""


class EncodeIdle(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``IdleLoop`` for each phase (phase 0 first), or by ``IdleFailed``. Cached on disk by content hash."""

    avatar: str
    format: VideoFormat
    codec: Codec


class OpenStream(msgspec.Struct, frozen=True, tag=True):
    """Make ``stream`` known; answered by ``StreamOpened`` or ``StreamRefused``. Again after each worker restart."""

    stream: str
    avatar: str
    format: VideoFormat
    drawn_fps: int = 0
    """Pictures of speech that are drawn a second; those between are the same again. 0: all are drawn."""


class CloseStream(msgspec.Struct, frozen=True, tag=True):
    """Forget the stream and what it had queued."""

    stream: str


class SetCodecs(msgspec.Struct, frozen=True, tag=True):
    """Which picture codecs a live stretch is encoded in: those some viewer needs. One added starts at a keyframe."""

    stream: str
    codecs: list[Codec]


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


class GoLive(msgspec.Struct, frozen=True, tag=True):
    """Start a live stretch at ``frame`` (a multiple of ``start_grid``), a keyframe. Ignored where already live."""

    stream: str
    frame: int


class Advance(msgspec.Struct, frozen=True, tag=True):
    """Frames below ``until`` may be made now; those below ``now`` are too late to be shown (audio still counts)."""

    stream: str
    until: int
    now: int


class ForceKeyframe(msgspec.Struct, frozen=True, tag=True):
    """The next picture of a live stretch is a keyframe."""

    stream: str
    codec: Codec


ToWorker = (
    Configure
    | Ping
    | Shutdown
    | EncodeIdle
    | OpenStream
    | CloseStream
    | SetCodecs
    | RecordSpeech
    | SpeechData
    | OpenLive
    | LivePacket
    | CloseLive
    | AbandonSpeech
    | GoLive
    | Advance
    | ForceKeyframe
    | PrepareAvatar
    | DropAvatar
)

# --- worker to server


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The models are loaded and warm."""

    pid: int
    avatars: list[AvatarInfo]


class WorkerStats(msgspec.Struct, frozen=True):
    """What the worker measured since its start."""

    frames: int = 0
    late_frames: int = 0
    """Frames that were skipped because their time had passed."""
    live_streams: int = 0
    stage_ms: dict[str, float] = {}
    """Mean milliseconds a frame by stage: engine (network and drawing), compose, encode."""
    rss_bytes: int = 0
    cpu_s: float = 0.0


class Pong(msgspec.Struct, frozen=True, tag=True):
    """Answer to ``Ping``."""

    serial: int
    stats: WorkerStats


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """A log record of the worker, to be written by the server's logger of the same name."""

    level: int
    logger: str
    message: str


class IdleLoop(msgspec.Struct, frozen=True, tag=True):
    """One phase of an encoded idle loop."""

    avatar: str
    format: VideoFormat
    codec: Codec
    phase: int
    interval: int
    """Units: frames from keyframe to keyframe."""
    first_frame: int
    """Loop frame of ``units[0]``, a keyframe; ``units[i]`` is loop frame (first_frame + i) % len(units)."""
    units: list[bytes]
    silence: bytes
    """One Opus packet of digital silence, the same in every phase."""


class IdleFailed(msgspec.Struct, frozen=True, tag=True):
    """The idle loop could not be encoded."""

    avatar: str
    format: VideoFormat
    codec: Codec
    detail: str


class StreamOpened(msgspec.Struct, frozen=True, tag=True):
    """The stream can speak."""

    stream: str
    avatar_title: str
    loop_frames: int


class StreamRefused(msgspec.Struct, frozen=True, tag=True):
    """No such avatar, or not at this size or rate."""

    stream: str
    detail: str


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


class WentIdle(msgspec.Struct, frozen=True, tag=True):
    """The live stretch ends: ``frame`` (a multiple of ``idle_grid``) and what follows comes from the idle loop."""

    stream: str
    frame: int


class StreamFailed(msgspec.Struct, frozen=True, tag=True):
    """Making a live stretch failed; the stream is idle from ``frame`` on and its queued utterances are gone."""

    stream: str
    frame: int
    utterances: list[str]
    detail: str


FromWorker = (
    Ready
    | Pong
    | LogLine
    | IdleLoop
    | IdleFailed
    | StreamOpened
    | StreamRefused
    | SpeechAccepted
    | SpeechRefused
    | SpeechStarted
    | SpeechFinished
    | SpeechChunk
    | Unit
    | WentIdle
    | StreamFailed
    | AvatarPrepared
    | AvatarDropped
    | AvatarRefused
)
