"""A worker without a process: the contract of ``avatar.client.Worker``, exact, and with no clock of its own.

Plays real pictures and sound, encoded once a run: each picture carries its frame number as bars, so that a test can
read from a decoded picture which frame it is. Acts only when it is sent something.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from avatar.client import WorkerGone, WorkerLimits, WorkerListener, WorkerState
from avatar.messages import (
    AUDIO_HZ,
    IDLE_PHASES,
    OPUS_SAMPLES,
    VIDEO_HZ,
    AbandonSpeech,
    Advance,
    AvatarInfo,
    CloseLive,
    CloseStream,
    Codec,
    EncodeIdle,
    ForceKeyframe,
    FromWorker,
    GoLive,
    IdleLoop,
    LivePacket,
    OpenLive,
    OpenStream,
    Ready,
    RecordSpeech,
    SetEncodings,
    SpeechAccepted,
    SpeechChunk,
    SpeechData,
    SpeechFinished,
    SpeechRefusal,
    SpeechRefused,
    SpeechStarted,
    StreamOpened,
    ToWorker,
    Unit,
    VideoFormat,
    WentIdle,
    WorkerConfig,
    WorkerStats,
    idle_grid,
)
from whep_server.live.clock import round_up

SIZE = (160, 128)
BITS = 8
LOOP_S = 2
IDLE_LUMA, LIVE_LUMA = 60, 200
ENDLESS = 1_000_000
"""Frames of a live utterance that nobody has closed."""
SPEECH_MAGIC = b"SAY "
"""The fake's audio format: this, then how many frames it lasts, in decimal."""


def draw(frame: int, live: bool) -> NDArray[np.uint8]:
    """A picture that says which frame it is: I420, one light or dark bar a bit in its upper half.

    Shapes: (height * 3 // 2, width).
    """
    width, height = SIZE
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = LIVE_LUMA if live else IDLE_LUMA
    bar = width // BITS
    for bit in range(BITS):
        picture[: height // 2, bit * bar : (bit + 1) * bar] = 235 if frame >> bit & 1 else 16
    return picture


def read(luma: NDArray[np.uint8]) -> tuple[int, bool]:
    """The frame number in a decoded picture, and whether it is of a live stretch. Shapes: (height, width)."""
    height, width = luma.shape
    bars = luma[height // 8 : height // 4, : width // BITS * BITS].reshape(-1, BITS, width // BITS)
    means = bars.mean(axis=(0, 2))
    return sum(int(mean > 128) << bit for bit, mean in enumerate(means)), bool(luma[height * 3 // 4 :].mean() > 130)


class PictureEncoder:
    """One running H.264 or VP8 encoder."""

    def __init__(self, codec: Codec, fps: int) -> None:
        h264 = codec is Codec.H264
        self._encoder = av.CodecContext.create("libx264" if h264 else "libvpx", "w")
        self._encoder.width, self._encoder.height = SIZE
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = Fraction(1, fps)
        self._encoder.framerate = Fraction(fps, 1)
        self._encoder.bit_rate = 400_000
        self._encoder.thread_count = 1
        self._encoder.gop_size = 10_000
        quick = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}
        self._encoder.options = quick if h264 else {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        self._count = 0

    def encode(self, picture: NDArray[np.uint8], keyframe: bool) -> bytes:
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, self._count = self._count, self._count + 1
        frame.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


@cache
def idle_units(codec: Codec, fps: int, phase: int) -> list[bytes]:
    """One phase of the idle loop; its pictures carry their place in the loop."""
    encoder, length, first = PictureEncoder(codec, fps), LOOP_S * fps, phase * idle_grid(fps)
    return [encoder.encode(draw((first + at) % length, live=False), at % fps == 0) for at in range(length)]


@cache
def opus_packets(live: bool) -> list[bytes]:
    """Two seconds of 20 ms packets: silence, or a tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = AUDIO_HZ, "mono", "s16", 32_000
    packets: list[bytes] = []
    for at in range(102):
        samples = np.arange(at * OPUS_SAMPLES, (at + 1) * OPUS_SAMPLES) / AUDIO_HZ
        tone = (np.sin(2 * np.pi * 500 * samples) * 12_000 * live).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, at * OPUS_SAMPLES
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[1:101]


def speech(frames: int) -> bytes:
    """A file that the fake speaks for so many frames."""
    return SPEECH_MAGIC + str(frames).encode()


@dataclass
class Utterance:
    """What the fake knows of one."""

    id: str
    data: bytes = b""
    frames: int = 0
    chunk_frames: int = 0
    """Of a recorded one."""


@dataclass
class LiveStream:
    """What the fake knows of one stream."""

    name: str
    fps: int
    codecs: list[Codec] = field(default_factory=list)
    queue: list[Utterance] = field(default_factory=list)
    uploads: dict[str, Utterance] = field(default_factory=dict)
    epoch: int = 0
    frame: int | None = None
    """The next frame to be made, None while idle."""
    sample: int = 0
    """The next audio sample to be made."""
    speaking: Utterance | None = None
    left: int = 0
    """Frames of it that are yet to be made."""
    end: int | None = None
    encoders: dict[Codec, PictureEncoder] = field(default_factory=dict)
    forced: set[Codec] = field(default_factory=set)


class FakeWorker:
    """Speaks on paper: see the module. Made by ``fake_worker``."""

    def __init__(self, listener: WorkerListener) -> None:
        self.state = WorkerState.STARTING
        self.stats = WorkerStats()
        self.pid: int | None = 4711
        self.sent: list[ToWorker] = []
        """Everything the server has said."""
        self.silent = False
        """A worker that hangs: hears, and does nothing."""
        self.heard: list[LivePacket] = []
        """What publishers said."""
        self.codecs_held: set[Codec] = set()
        """Idle loops that are not to be delivered yet."""
        self._listener = listener
        self._streams: dict[str, LiveStream] = {}

    # --- what a test does to it

    def start(self) -> None:
        """Become ready, the first time or again."""
        self.state = WorkerState.READY
        self._listener.worker_ready(Ready(4711, [AvatarInfo("nova", "Nova", "viseme", [SIZE])]))

    def die(self) -> None:
        """Be gone, with all it knew."""
        self.state = WorkerState.LOST
        self._streams.clear()
        self._listener.worker_lost("killed by a test")

    def release(self, codec: Codec, video: VideoFormat) -> None:
        """Deliver idle loops that were held."""
        self.codecs_held.discard(codec)
        self._encode_idle(EncodeIdle("nova", video, codec))

    # --- the contract

    def send(self, message: ToWorker) -> None:
        if self.state is not WorkerState.READY:
            raise WorkerGone("the fake is not ready")
        self.sent.append(message)
        if not self.silent:
            asyncio.get_running_loop().call_soon(self._act, message)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    # --- what it does

    def _tell(self, message: FromWorker) -> None:
        if self.state is WorkerState.READY:
            self._listener.worker_message(message)

    def _act(self, message: ToWorker) -> None:
        stream = self._streams.get(getattr(message, "stream", ""))
        match message:
            case EncodeIdle():
                self._encode_idle(message)
            case OpenStream():
                self._streams[message.stream] = LiveStream(message.stream, message.format.fps)
                self._tell(StreamOpened(message.stream, "Nova", LOOP_S * message.format.fps))
            case CloseStream():
                self._streams.pop(message.stream, None)
            case SpeechData() | OpenLive() if stream is None:
                refusal = SpeechRefusal.UNKNOWN_STREAM
                self._tell(SpeechRefused(message.stream, message.utterance, refusal, "no such stream"))
        if stream is not None:
            self._act_on(stream, message)

    def _act_on(self, stream: LiveStream, message: ToWorker) -> None:
        match message:
            case SetEncodings():
                stream.codecs = [each.codec for each in message.encodings]
            case ForceKeyframe():
                stream.forced.add(message.codec)
            case RecordSpeech() | SpeechData():
                self._hear(stream, message)
            case OpenLive():
                stream.epoch = message.epoch
                stream.queue.append(Utterance(message.utterance, frames=ENDLESS))
                self._tell(SpeechAccepted(stream.name, message.utterance, None))
            case LivePacket():
                self.heard.append(message)
            case CloseLive():
                self._close_live(stream, message.utterance)
            case AbandonSpeech():
                stream.uploads.pop(message.utterance, None)
                stream.queue = [queued for queued in stream.queue if queued.id != message.utterance]
            case GoLive() if stream.frame is None:
                stream.frame, stream.end, stream.encoders = message.frame, None, {}
                stream.sample = message.frame * AUDIO_HZ // stream.fps
            case Advance():
                self._advance(stream, message)

    def _close_live(self, stream: LiveStream, utterance: str) -> None:
        if stream.speaking is not None and stream.speaking.id == utterance:
            stream.left = 0
        for queued in stream.queue:
            if queued.id == utterance:
                queued.frames = 0

    def _encode_idle(self, message: EncodeIdle) -> None:
        if message.codec in self.codecs_held:
            return
        fps = message.format.fps
        for phase in range(IDLE_PHASES):
            units = idle_units(message.codec, fps, phase)
            first = phase * idle_grid(fps)
            silence = opus_packets(live=False)[0]
            self._tell(
                IdleLoop(message.avatar, message.format, message.codec, phase, fps, first, units, silence),
            )

    def _hear(self, stream: LiveStream, message: RecordSpeech | SpeechData) -> None:
        utterance = stream.uploads.setdefault(message.utterance, Utterance(message.utterance))
        if isinstance(message, RecordSpeech):
            utterance.chunk_frames = message.chunk_frames
            return
        utterance.data += message.data
        stream.epoch = message.epoch
        if message.last:
            del stream.uploads[message.utterance]
            self._judge(stream, utterance)

    def _judge(self, stream: LiveStream, utterance: Utterance) -> None:
        if not utterance.data.startswith(SPEECH_MAGIC):
            refusal = SpeechRefusal.NOT_AUDIO if utterance.data else SpeechRefusal.EMPTY
            self._tell(SpeechRefused(stream.name, utterance.id, refusal, "cannot be decoded"))
            return
        utterance.frames = int(utterance.data.removeprefix(SPEECH_MAGIC))
        stream.queue.append(utterance)
        self._tell(SpeechAccepted(stream.name, utterance.id, utterance.frames / stream.fps))

    def _advance(self, stream: LiveStream, message: Advance) -> None:
        while stream.frame is not None and stream.frame < message.until:
            self._begin_or_end(stream)
            if stream.frame == stream.end:
                self._tell(WentIdle(stream.name, stream.frame))
                stream.frame = None
                return
            if stream.frame >= message.now:
                self._make_pictures(stream, stream.frame)
            stream.frame += 1
            self._make_sound(stream)
            if stream.speaking is not None:
                stream.left -= 1
                self._record(stream, stream.speaking)

    def _record(self, stream: LiveStream, utterance: Utterance) -> None:
        """A chunk, where one is complete; its bytes say which frames of the utterance are in it."""
        made, size = utterance.frames - stream.left, utterance.chunk_frames
        if size and (made % size == 0 or stream.left == 0):
            index, total = (made - 1) // size, -(-utterance.frames // size)
            data = f"frames {index * size} to {made}".encode()
            self._tell(SpeechChunk(stream.name, utterance.id, index, total, made - index * size, 0.001, data))

    def _begin_or_end(self, stream: LiveStream) -> None:
        assert stream.frame is not None
        at = stream.frame * AUDIO_HZ // stream.fps
        if stream.speaking is not None and stream.left == 0:
            spoken = stream.speaking.frames if stream.speaking.frames < ENDLESS else 0
            samples = spoken * AUDIO_HZ // stream.fps
            self._tell(SpeechFinished(stream.name, stream.speaking.id, at, samples, None))
            stream.speaking = None
        if stream.speaking is None and stream.end is None and stream.queue:
            stream.speaking = stream.queue.pop(0)
            stream.left = stream.speaking.frames
            self._tell(SpeechStarted(stream.name, stream.speaking.id, at))
        elif stream.speaking is None and stream.end is None:
            stream.end = round_up(stream.frame + 1, idle_grid(stream.fps))

    def _make_pictures(self, stream: LiveStream, frame: int) -> None:
        for codec in list(stream.encoders):
            if codec not in stream.codecs:
                del stream.encoders[codec]
        for codec in stream.codecs:
            if codec is Codec.OPUS:
                continue
            fresh = codec not in stream.encoders
            encoder = stream.encoders.setdefault(codec, PictureEncoder(codec, stream.fps))
            keyframe = fresh or codec in stream.forced
            stream.forced.discard(codec)
            data = encoder.encode(draw(frame % (LOOP_S * stream.fps), live=True), keyframe)
            media_time = frame * VIDEO_HZ // stream.fps
            self._tell(Unit(stream.name, stream.epoch, codec, media_time, keyframe, data))

    def _make_sound(self, stream: LiveStream) -> None:
        assert stream.frame is not None
        tone = opus_packets(live=True)
        while stream.sample + OPUS_SAMPLES <= stream.frame * AUDIO_HZ // stream.fps:
            data = tone[stream.sample // OPUS_SAMPLES % len(tone)]
            self._tell(Unit(stream.name, stream.epoch, Codec.OPUS, stream.sample, keyframe=True, data=data))
            stream.sample += OPUS_SAMPLES


class FakeOpener:
    """Opens fakes as ``open_worker`` opens workers; the last one made stays at hand."""

    def __init__(self) -> None:
        self.worker: FakeWorker
        self.started = True
        """Whether the worker is ready at once."""
        self.codecs_held: set[Codec] = set()

    @asynccontextmanager
    async def __call__(
        self, config: WorkerConfig, limits: WorkerLimits, listener: WorkerListener
    ) -> AsyncIterator[FakeWorker]:
        self.worker = FakeWorker(listener)
        self.worker.codecs_held |= self.codecs_held
        if self.started:
            asyncio.get_running_loop().call_soon(self.worker.start)
        yield self.worker
        self.worker.state = WorkerState.STOPPED
