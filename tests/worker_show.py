"""The server's part towards a real worker process, played without a clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from avatar.client import WorkerClient, WorkerLimits, WorkerState, open_worker
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    VIDEO_HZ,
    Advance,
    CloseLive,
    Codec,
    Encoding,
    FromWorker,
    GoLive,
    Interrupt,
    Interrupted,
    LivePacket,
    OpenLive,
    OpenStream,
    Ready,
    SetEncodings,
    SpeechAccepted,
    SpeechData,
    SpeechFinished,
    SpeechRefused,
    SpeechStarted,
    StreamFailed,
    StreamOpened,
    StreamRefused,
    Unit,
    VideoFormat,
    WentIdle,
    WorkerConfig,
)
from tests.fake_engine import SIZE
from whep_server.live.playout import Playout

ROOT = Path(__file__).parents[1]
FAKE = (str(ROOT / "tests" / "fake_engine.py"),)
SHAPE = VideoFormat(*SIZE, 25, 500_000)
DEADLINE_S = 60.0
FOREVER = 1 << 40
LIMITS = WorkerLimits(start_s=60.0, slow_s=20.0, dead_s=30.0)
Message = TypeVar("Message")


class Seen:
    """All that a worker has said."""

    def __init__(self) -> None:
        self.said: list[FromWorker] = []
        self.readies: list[Ready] = []
        self.losses: list[str] = []

    def worker_ready(self, ready: Ready) -> None:
        self.readies.append(ready)

    def worker_message(self, message: FromWorker) -> None:
        self.said.append(message)

    def worker_lost(self, detail: str) -> None:
        self.losses.append(detail)

    def of(self, kind: type[Message], stream: str = "a") -> list[Message]:
        return [each for each in self.said if isinstance(each, kind) and getattr(each, "stream", stream) == stream]

    def units(self, codec: Codec, stream: str = "a") -> list[Unit]:
        return [unit for unit in self.of(Unit, stream) if unit.codec is codec]

    def marks(self, stream: str = "a") -> list[tuple[str, str]]:
        kinds = {SpeechStarted: "started", SpeechFinished: "finished"}
        return [
            (kinds[type(each)], each.utterance)
            for each in self.said
            if isinstance(each, SpeechStarted | SpeechFinished) and each.stream == stream
        ]


class Show:
    """The server's part, played without a clock: the worker is to make what it is granted, whenever that is."""

    def __init__(self, client: WorkerClient, seen: Seen) -> None:
        self.client, self.seen = client, seen
        self.granted: dict[str, int] = {}
        self.epoch = 0

    async def open(self, stream: str = "a", avatar: str = "grey", shape: VideoFormat = SHAPE) -> None:
        await until(lambda: self.client.state is WorkerState.READY)
        self.client.send(OpenStream(stream, avatar, shape))
        await until(lambda: self.seen.of(StreamOpened, stream))
        self.client.send(SetEncodings(stream, [Encoding(Codec.H264)]))

    async def say(self, data: bytes, utterance: str = "u", stream: str = "a") -> SpeechAccepted | SpeechRefused:
        """Upload; how it was taken."""
        for at in range(0, max(1, len(data)), 65_536):
            last = at + 65_536 >= len(data)
            self.client.send(SpeechData(stream, utterance, self.epoch, data[at : at + 65_536], last))
            await self.client.drain()

        return await self.answer(utterance, stream)

    async def answer(self, utterance: str, stream: str) -> SpeechAccepted | SpeechRefused:
        """How an utterance was taken."""

        def answers() -> list[SpeechAccepted | SpeechRefused]:
            both = [*self.seen.of(SpeechAccepted, stream), *self.seen.of(SpeechRefused, stream)]
            return [each for each in both if each.utterance == utterance]

        await until(answers)
        return answers()[0]

    async def publish(self, utterance: str = "live", stream: str = "a") -> SpeechAccepted | SpeechRefused:
        """Begin a live utterance; how it was taken."""
        self.client.send(OpenLive(stream, utterance, self.epoch))
        return await self.answer(utterance, stream)

    async def send_live(
        self, packets: list[bytes], utterance: str = "live", stream: str = "a", *, first: int = 0, frames: int = 1
    ) -> None:
        """Packets of 20 ms, and the frames they belong to, as they go along in a network without jitter."""
        for at in range(0, len(packets), 2 * frames):
            for number, data in enumerate(packets[at : at + 2 * frames], first + at):
                self.client.send(LivePacket(stream, utterance, number, number * OPUS_SAMPLES, data))
            if stream in self.granted:
                await self.grant(frames, stream)

    def go_away(self, utterance: str = "live", stream: str = "a") -> None:
        """The publisher is gone."""
        self.client.send(CloseLive(stream, utterance))

    async def accepted(self, data: bytes, utterance: str = "u", stream: str = "a") -> None:
        assert isinstance(await self.say(data, utterance, stream), SpeechAccepted)

    async def go_live(self, frame: int, stream: str = "a") -> None:
        self.client.send(GoLive(stream, frame))
        self.granted[stream] = frame

    async def grant(
        self, frames: int, stream: str = "a", *, late: int = 0, pictures: bool = True, fps: int = SHAPE.fps
    ) -> None:
        """Grant frames, the first ``late`` of them too late, and wait until they are made or the stretch has ended.

        ``pictures``: whether any encoding is wanted, so that there will be some.
        """
        first = self.granted[stream]
        self.granted[stream] = until_frame = first + frames
        self.client.send(Advance(stream, until_frame, first + late))
        heard_until = until_frame * AUDIO_HZ // fps - OPUS_SAMPLES
        seen_until = (until_frame - 1) * VIDEO_HZ // fps if late < frames and pictures else 0
        await until(lambda: self.ended(stream) or (self._heard(heard_until, stream) and self._seen(seen_until, stream)))

    def _heard(self, media_time: int, stream: str) -> bool:
        return any(unit.media_time >= media_time for unit in reversed(self.seen.units(Codec.OPUS, stream)[-4:]))

    def _seen(self, media_time: int, stream: str) -> bool:
        pictures = [unit for unit in self.seen.of(Unit, stream) if unit.codec is not Codec.OPUS]
        return any(unit.media_time >= media_time for unit in reversed(pictures[-4:]))

    async def interrupt(self, at: int, utterance: str = "", stream: str = "a") -> Interrupted:
        """Have it fall silent, and let nothing through that was made before for times from ``at`` on."""
        self.epoch += 1
        self.client.send(Interrupt(stream, self.epoch, at, utterance))
        await until(lambda: [each for each in self.seen.of(Interrupted, stream) if each.epoch == self.epoch])
        fence = Playout()
        fence.fence(self.epoch, self.frame_at(at) * VIDEO_HZ // SHAPE.fps, at)
        for unit in self.seen.of(Unit, stream):
            fence.push(unit)
        kept = [*fence.pop_due(Codec.OPUS, FOREVER), *fence.pop_due(Codec.H264, FOREVER)]
        self.seen.said = [each for each in self.seen.said if not isinstance(each, Unit) or each in kept]
        self.granted[stream] = min(self.granted[stream], self.frame_at(at))
        return self.seen.of(Interrupted, stream)[-1]

    @staticmethod
    def frame_at(sample: int) -> int:
        """The first one at or after it."""
        return -(-sample * SHAPE.fps // AUDIO_HZ)

    def ended(self, stream: str = "a") -> bool:
        return bool(self.seen.of(WentIdle, stream)) or bool(self.seen.of(StreamFailed, stream))

    async def play_out(self, *streams: str, portion: int = 3) -> None:
        """Grant frames until all stretches have ended."""
        playing = set(streams or ("a",))
        while playing:
            for stream in sorted(playing):
                await self.grant(portion, stream)
                if self.ended(stream):
                    playing.discard(stream)

    async def settle(self) -> None:
        """Wait until the worker has done all it was told: it refuses a stream in turn."""
        before = len(self.seen.of(StreamRefused, "settle"))
        self.client.send(OpenStream("settle", "damaged", SHAPE))
        await until(lambda: len(self.seen.of(StreamRefused, "settle")) > before)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.002)


@asynccontextmanager
async def show(cache: Path, limits: WorkerLimits = LIMITS, **config: object) -> AsyncIterator[Show]:
    seen = Seen()
    settings = WorkerConfig("", "", str(cache), **config)  # type: ignore[arg-type]
    async with open_worker(settings, limits, seen, command=FAKE) as client:
        yield Show(client, seen)


def run(coroutine: Coroutine[None, None, None]) -> None:
    asyncio.run(coroutine)


def heard(units: list[Unit]) -> NDArray[np.float32]:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = 48_000, "mono", "s16"
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return np.concatenate([frame.to_ndarray().reshape(-1).astype(np.float32) / 32768 for frame in frames])


def seen_pictures(units: list[Unit]) -> list[NDArray[np.uint8]]:
    decoder = av.CodecContext.create("h264" if units[0].codec is Codec.H264 else "vp8", "r")
    decoder.thread_count = 1
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [frame.to_ndarray() for frame in [*frames, *decoder.decode(None)]]
