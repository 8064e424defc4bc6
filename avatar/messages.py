"""What crosses between server and worker: the messages; how they look on the wire is ``avatar.framing``'s. No clock.

The server owns time. It grants each live stream the frames that may be made (``Advance``); the worker never looks at a
clock to decide what to make, so that the same messages can cross a network whose ends disagree about the time.

Frame numbers and audio positions count from the start of the stream: video frame k stands at k / fps seconds, audio
sample n at n / 48000 seconds, on the stream's one clock.
"""

import msgspec

from avatar.formats import AUDIO_HZ as AUDIO_HZ
from avatar.formats import FRAME_RATES as FRAME_RATES
from avatar.formats import IDLE_PHASES as IDLE_PHASES
from avatar.formats import NEUTRAL_POSE as NEUTRAL_POSE
from avatar.formats import OPUS_SAMPLES as OPUS_SAMPLES
from avatar.formats import PATIENCE_PACKETS as PATIENCE_PACKETS
from avatar.formats import POSES as POSES
from avatar.formats import RENDITIONS as RENDITIONS
from avatar.formats import SLACK_BOUNDS_S as SLACK_BOUNDS_S
from avatar.formats import VIDEO_HZ as VIDEO_HZ
from avatar.formats import Codec as Codec
from avatar.formats import VideoFormat as VideoFormat
from avatar.formats import idle_grid as idle_grid
from avatar.formats import ladder as ladder
from avatar.formats import start_grid as start_grid
from avatar.memory_messages import AvatarsHeld as AvatarsHeld
from avatar.memory_messages import HeldAvatar as HeldAvatar
from avatar.quality import Quality as Quality
from avatar.speech_messages import AbandonSpeech as AbandonSpeech
from avatar.speech_messages import CloseLive as CloseLive
from avatar.speech_messages import ClosePcm as ClosePcm
from avatar.speech_messages import Interrupt as Interrupt
from avatar.speech_messages import Interrupted as Interrupted
from avatar.speech_messages import LivePacket as LivePacket
from avatar.speech_messages import OpenLive as OpenLive
from avatar.speech_messages import OpenPcm as OpenPcm
from avatar.speech_messages import PcmChunk as PcmChunk
from avatar.speech_messages import PcmMark as PcmMark
from avatar.speech_messages import PcmTaken as PcmTaken
from avatar.speech_messages import RecordSpeech as RecordSpeech
from avatar.speech_messages import SpeechAccepted as SpeechAccepted
from avatar.speech_messages import SpeechChunk as SpeechChunk
from avatar.speech_messages import SpeechData as SpeechData
from avatar.speech_messages import SpeechFinished as SpeechFinished
from avatar.speech_messages import SpeechHeld as SpeechHeld
from avatar.speech_messages import SpeechMark as SpeechMark
from avatar.speech_messages import SpeechRefusal as SpeechRefusal
from avatar.speech_messages import SpeechRefused as SpeechRefused
from avatar.speech_messages import SpeechResumed as SpeechResumed
from avatar.speech_messages import SpeechStarted as SpeechStarted
from avatar.speech_messages import VoiceHeard as VoiceHeard
from avatar.user_avatars import AvatarDropped as AvatarDropped
from avatar.user_avatars import AvatarInfo as AvatarInfo
from avatar.user_avatars import AvatarPrepared as AvatarPrepared
from avatar.user_avatars import AvatarRefusal as AvatarRefusal
from avatar.user_avatars import AvatarRefused as AvatarRefused
from avatar.user_avatars import AvatarStep as AvatarStep
from avatar.user_avatars import CancelAvatar as CancelAvatar
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
    rendition: int = 0
    """Of a picture: which rung of ``formats.ladder`` it is."""


# --- server to worker


class MuseTalkConfig(msgspec.Struct, frozen=True):
    """How the engine of MuseTalk is run; see ``EngineOptions`` of it."""

    models: str = ""
    """Directory of its weights; without one there is no such engine."""
    device: str = "auto"
    precision: str = "auto"
    speedup: str = "none"
    max_batch: int = 32


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
    pcm_gap_s: float = 30.0
    """Longest time an utterance that is spoken while it is made may pause for want of samples."""
    log_level: str = "INFO"
    prepared: str = ""
    """Directory of the avatars that users prepare; none where it is empty."""
    size: tuple[int, int] = (1280, 720)
    """At which streams are shown as a rule."""
    avatar_bytes: int = 1024 * 1024 * 1024
    """Avatars may take so much memory, those on air included."""
    musetalk: MuseTalkConfig = MuseTalkConfig()


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
    rendition: int = 0
    """The rung of ``formats.ladder(format)`` that the pictures are scaled to."""
    pose: str = NEUTRAL_POSE


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


class Encoding(msgspec.Struct, frozen=True):
    """One way in which a stream's pictures are encoded."""

    codec: Codec
    rendition: int = 0
    """The rung of ``formats.ladder`` of the stream's format."""


class SetEncodings(msgspec.Struct, frozen=True, tag=True):
    """How a live stretch is encoded: as some viewer needs it. One that is added starts at a keyframe."""

    stream: str
    encodings: list[Encoding]


class SetPose(msgspec.Struct, frozen=True, tag=True):
    """The stream's figure goes over to ``pose``: at once where it is live, else in its next stretch."""

    stream: str
    pose: str
    rests: bool
    """Whether there is an idle loop of it; a stretch goes on until there is."""


class GoLive(msgspec.Struct, frozen=True, tag=True):
    """Start a live stretch at ``frame`` (a multiple of ``start_grid``), a keyframe. Ignored where already live."""

    stream: str
    frame: int
    pose: str = NEUTRAL_POSE
    """In which the idle loop shows the figure until then."""


class Advance(msgspec.Struct, frozen=True, tag=True):
    """Frames below ``until`` may be made now; those below ``now`` are too late to be shown.

    Sound is too late ``PATIENCE_PACKETS`` after its time. Whatever is too late, the clock of what is said goes on.
    """

    stream: str
    until: int
    now: int


class ForceKeyframe(msgspec.Struct, frozen=True, tag=True):
    """The next picture of a live stretch is a keyframe."""

    stream: str
    codec: Codec
    rendition: int = 0


ToWorker = (
    Configure
    | Ping
    | Shutdown
    | EncodeIdle
    | OpenStream
    | CloseStream
    | SetEncodings
    | SetPose
    | RecordSpeech
    | SpeechData
    | OpenLive
    | LivePacket
    | CloseLive
    | AbandonSpeech
    | OpenPcm
    | PcmChunk
    | PcmMark
    | ClosePcm
    | Interrupt
    | GoLive
    | Advance
    | ForceKeyframe
    | PrepareAvatar
    | CancelAvatar
    | DropAvatar
)

# --- worker to server


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The models are loaded and warm."""

    pid: int
    avatars: list[AvatarInfo]
    speeds: dict[str, float] = {}
    """Pictures a second that an engine makes, all streams together, where that is its own affair and not the CPU's."""


class WorkerStats(msgspec.Struct, frozen=True):
    """What the worker measured since its start."""

    frames: int = 0
    late_frames: int = 0
    """Frames that were skipped because their time had passed."""
    live_streams: int = 0
    stage_ms: dict[str, float] = {}
    """Mean milliseconds a frame by stage: engine (network and drawing), compose, scale, encode."""
    rss_bytes: int = 0
    cpu_s: float = 0.0
    quick: bool = False
    """Whether it encodes in haste, because it does not keep up."""
    slack: dict[str, list[int]] = {}
    """Pictures by how long before they were due they were finished, by engine: at most the first ``SLACK_BOUNDS_S``, up
    to the second, …, above the last. Without those that are never due, as recordings that nobody watches."""


class Pong(msgspec.Struct, frozen=True, tag=True):
    """Answer to ``Ping``."""

    serial: int
    stats: WorkerStats


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """A log record of the worker, to be written by the server's logger of the same name."""

    level: int
    logger: str
    message: str
    about: dict[str, str] = {}
    """The stream and the utterance that it is about, by these names."""


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
    rendition: int = 0
    pose: str = NEUTRAL_POSE


class IdleFailed(msgspec.Struct, frozen=True, tag=True):
    """The idle loop could not be encoded."""

    avatar: str
    format: VideoFormat
    codec: Codec
    detail: str
    rendition: int = 0
    pose: str = NEUTRAL_POSE


class StreamOpened(msgspec.Struct, frozen=True, tag=True):
    """The stream can speak."""

    stream: str
    avatar_title: str
    loop_frames: int


class StreamRefused(msgspec.Struct, frozen=True, tag=True):
    """No such avatar, or not at this size or rate."""

    stream: str
    detail: str


class WentIdle(msgspec.Struct, frozen=True, tag=True):
    """The live stretch ends: ``frame`` (a multiple of ``idle_grid``) and what follows comes from the idle loop.

    Not while an utterance is spoken, or pauses, nor while the figure goes over to another pose.
    """

    stream: str
    frame: int
    pose: str = NEUTRAL_POSE
    """The loop's, from then on."""


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
    | PcmTaken
    | SpeechMark
    | SpeechHeld
    | SpeechResumed
    | Interrupted
    | VoiceHeard
    | Unit
    | WentIdle
    | StreamFailed
    | AvatarStep
    | AvatarPrepared
    | AvatarDropped
    | AvatarRefused
    | AvatarsHeld
)
