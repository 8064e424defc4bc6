"""A worker without a process: the contract of ``avatar.client.Worker``, exact, and with no clock of its own.

Plays real pictures and sound, encoded once a run: each picture carries its frame number as bars, so that a test can
read from a decoded picture which frame it is. Acts only when it is sent something.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from avatar.client import WorkerGone, WorkerLimits, WorkerListener, WorkerState
from avatar.messages import (
    IDLE_PHASES,
    POSES,
    AbandonSpeech,
    Advance,
    AvatarInfo,
    CloseLive,
    ClosePcm,
    CloseStream,
    Codec,
    EncodeIdle,
    Encoding,
    ForceKeyframe,
    FromWorker,
    GoLive,
    IdleLoop,
    Interrupt,
    LivePacket,
    OpenLive,
    OpenPcm,
    OpenStream,
    PcmChunk,
    PcmMark,
    Ready,
    RecordSpeech,
    SetEncodings,
    SetPose,
    SpeechAccepted,
    SpeechData,
    SpeechRefusal,
    SpeechRefused,
    StreamOpened,
    ToWorker,
    VideoFormat,
    VoiceHeard,
    WorkerConfig,
    WorkerStats,
    idle_grid,
)
from tests.fake_media import LOOP_S as LOOP_S
from tests.fake_media import SIZE as SIZE
from tests.fake_media import idle_units as idle_units
from tests.fake_media import opus_packets
from tests.fake_media import read as read
from tests.fake_media import speech as speech
from tests.fake_stream import FakeStream as FakeStream

NOVA = AvatarInfo("nova", "Nova", "viseme", [SIZE], poses=POSES)


class FakeWorker:
    """Speaks on paper: see the module. Made by ``fake_worker``."""

    make_stream = FakeStream

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
        self.avatars = [NOVA]
        self.speeds: dict[str, float] = {}
        """As ``Ready`` tells them."""
        self.codecs_held: set[Codec] = set()
        """Idle loops that are not to be delivered yet."""
        self.poses_held: set[str] = set()
        self._listener = listener
        self._streams: dict[str, FakeStream] = {}

    # --- what a test does to it

    def start(self) -> None:
        """Become ready, the first time or again."""
        self.state = WorkerState.READY
        self._listener.worker_ready(Ready(4711, self.avatars, self.speeds))

    def die(self) -> None:
        """Be gone, with all it knew."""
        self.state = WorkerState.LOST
        self._streams.clear()
        self._listener.worker_lost("killed by a test")

    def release(self, codec: Codec, video: VideoFormat) -> None:
        """Deliver idle loops that were held."""
        self.codecs_held.discard(codec)
        self._encode_idle(EncodeIdle("nova", video, codec))

    def hear_voice(self) -> None:
        """A voice begins in what was opened last by a publisher whose voice is to be told."""
        opened = [each for each in self.sent if isinstance(each, OpenLive) and (each.listens or each.barges_in)]
        self._tell(VoiceHeard(opened[-1].stream, opened[-1].utterance))

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
                self._streams[message.stream] = self.make_stream(message.stream, message.format.fps, self._tell)
                self._tell(StreamOpened(message.stream, "Nova", LOOP_S * message.format.fps))
            case CloseStream():
                self._streams.pop(message.stream, None)
            case SpeechData() | OpenLive() | OpenPcm() if stream is None:
                refusal = SpeechRefusal.UNKNOWN_STREAM
                self._tell(SpeechRefused(message.stream, message.utterance, refusal, "no such stream"))
        if stream is not None:
            self._act_on(stream, message)

    def _act_on(self, stream: FakeStream, message: ToWorker) -> None:
        match message:
            case SetEncodings():
                stream.encodings = list(message.encodings)
            case ForceKeyframe():
                stream.forced.add(Encoding(message.codec, message.rendition))
            case GoLive():
                stream.go_live(message)
            case Advance():
                stream.advance(message)
            case Interrupt():
                stream.interrupt(message)
            case SetPose():
                stream.pose, stream.rests = message.pose, message.rests
            case _:
                self._hear(stream, message)

    def _hear(self, stream: FakeStream, message: ToWorker) -> None:
        match message:
            case RecordSpeech() | SpeechData():
                stream.hear(message)
            case OpenPcm() | PcmChunk() | PcmMark() | ClosePcm():
                stream.stream_in(message)
            case OpenLive():
                self._open_live(stream, message)
            case LivePacket():
                self.heard.append(message)
            case CloseLive():
                stream.close_live(message.utterance)
            case AbandonSpeech():
                stream.abandon(message.utterance)

    def _open_live(self, stream: FakeStream, message: OpenLive) -> None:
        if message.listens:
            self._tell(SpeechAccepted(message.stream, message.utterance, None))
        else:
            stream.open_live(message)

    def _encode_idle(self, message: EncodeIdle) -> None:
        if message.codec in self.codecs_held or message.pose in self.poses_held:
            return
        fps = message.format.fps
        for phase in range(IDLE_PHASES):
            units = idle_units(message.codec, fps, phase)
            first = phase * idle_grid(fps)
            silence = opus_packets(live=False)[0]
            self._tell(
                IdleLoop(
                    message.avatar, message.format, message.codec, phase, fps, first, units, silence, pose=message.pose
                ),
            )


class FakeOpener:
    """Opens fakes as ``open_worker`` opens workers; the last one made stays at hand."""

    def __init__(self) -> None:
        self.worker: FakeWorker
        self.started = True
        """Whether the worker is ready at once."""
        self.avatars = [NOVA]
        self.speeds: dict[str, float] = {}
        self.codecs_held: set[Codec] = set()

    @asynccontextmanager
    async def __call__(
        self, config: WorkerConfig, limits: WorkerLimits, listener: WorkerListener
    ) -> AsyncIterator[FakeWorker]:
        self.worker = FakeWorker(listener)
        self.worker.codecs_held |= self.codecs_held
        self.worker.avatars, self.worker.speeds = self.avatars, self.speeds
        if self.started:
            asyncio.get_running_loop().call_soon(self.worker.start)
        yield self.worker
        self.worker.state = WorkerState.STOPPED
