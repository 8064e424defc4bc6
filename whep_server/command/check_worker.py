"""Whether the process that makes speech starts, knows the avatar and draws it: a real one, through the real client."""

import array
import asyncio
import io
import logging
import math
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from avatar.client import WorkerClient, WorkerGone, open_worker
from avatar.messages import (
    Advance,
    Codec,
    Encoding,
    FromWorker,
    GoLive,
    OpenStream,
    Ready,
    SetEncodings,
    SpeechAccepted,
    SpeechData,
    SpeechRefused,
    StreamFailed,
    StreamOpened,
    StreamRefused,
    Unit,
    VideoFormat,
)
from whep_server.command.findings import Finding
from whep_server.live.worker_terms import worker_config, worker_limits
from whep_server.settings import PREFIX, Settings

STREAM: Final = "doctor"
TONE_HZ: Final = 16_000
Message = TypeVar("Message", bound=FromWorker)


class WorkerFault(Exception):
    """Why a worker does not do its work."""


class Waiter(logging.Handler):
    """Waits for what a worker says, or its end; hears what it logs meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.avatars: list[str] | None = None
        self.heard = ""
        """The last line of the last error that was logged: of a traceback, the one that says what happened."""
        self._said: list[FromWorker] = []
        self._news = asyncio.Event()
        self._lost = False

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        if record.levelno < logging.ERROR:
            return
        line = self.format(record).strip().splitlines()[-1]
        if record.name == "avatar.client":  # it only says that the worker is gone
            self._lost = True
            self._news.set()
            line = self.heard or line
        self.heard = line

    def worker_ready(self, ready: Ready) -> None:
        """It is there, and says what it can show."""
        self.avatars = [info.name for info in ready.avatars]
        self._news.set()

    def worker_message(self, message: FromWorker) -> None:
        """Anything else."""
        self._said.append(message)
        self._news.set()

    def worker_lost(self, detail: str) -> None:
        """It ended."""
        self.heard = self.heard or detail
        self._lost = True
        self._news.set()

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Errors: WorkerFault where the worker ends, or time does, before it is so."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if self._lost:
                        raise WorkerFault(self.heard or "it ended")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise WorkerFault(f"{what} did not come within {seconds:g} s{self.heard and ': ' + self.heard}") from None

    async def answer(self, good: type[Message], bad: type[StreamRefused | SpeechRefused], seconds: float) -> None:
        """Wait for one of two answers. Errors: WorkerFault where it is the bad one, or none."""
        kinds = (good, bad, StreamFailed)
        await self.until(lambda: any(isinstance(each, kinds) for each in self._said), seconds, good.__name__)
        refusal = next(
            (each for each in self._said if isinstance(each, StreamRefused | SpeechRefused | StreamFailed)), None
        )
        if refusal is not None:
            raise WorkerFault(refusal.detail)

    async def unit(self, codec: Codec, seconds: float) -> None:
        """Wait for something encoded. Errors: WorkerFault."""

        def there() -> bool:
            return any(
                isinstance(each, StreamFailed) or (isinstance(each, Unit) and each.codec is codec)
                for each in self._said
            )

        await self.until(there, seconds, f"something encoded as {codec.value}")
        for each in self._said:
            if isinstance(each, StreamFailed):
                raise WorkerFault(each.detail)


@dataclass(slots=True)
class Trial:
    """How far a worker came. Units: seconds; None where it did not."""

    avatars: list[str] = field(default_factory=list)
    ready_s: float | None = None
    drawn_s: float | None = None
    """From being ready until a picture and sound of speech were there, the avatar loaded meanwhile."""
    fault: str = ""


def tone() -> bytes:
    """A second of a voice's pitch, as a WAV file."""
    samples = array.array("h", (int(8000 * math.sin(2 * math.pi * 180 * n / TONE_HZ)) for n in range(TONE_HZ)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(TONE_HZ)
        out.writeframes(samples.tobytes())
    return file.getvalue()


async def draw(settings: Settings, client: WorkerClient, waiter: Waiter) -> None:
    """Have it speak a second. Errors: WorkerFault, WorkerGone."""
    shape = VideoFormat(settings.width, settings.height, settings.fps, settings.bitrate_bps)
    client.send(OpenStream(STREAM, settings.avatar, shape))
    await waiter.answer(StreamOpened, StreamRefused, settings.worker_start_s)
    client.send(SetEncodings(STREAM, [Encoding(Codec.H264)]))
    client.send(SpeechData(STREAM, STREAM, 0, tone(), last=True))
    await waiter.answer(SpeechAccepted, SpeechRefused, settings.worker_start_s)
    client.send(GoLive(STREAM, 0))
    client.send(Advance(STREAM, settings.fps, 0))
    for codec in (Codec.H264, Codec.OPUS):
        await waiter.unit(codec, settings.worker_start_s)


async def try_worker(settings: Settings, waiter: Waiter) -> Trial:
    """Start a worker, let it draw, end it."""
    loop = asyncio.get_running_loop()
    trial, began_s = Trial(), loop.time()
    async with open_worker(worker_config(settings), worker_limits(settings), waiter) as client:
        try:
            await waiter.until(lambda: waiter.avatars is not None, settings.worker_start_s, "its greeting")
            trial.avatars = list(waiter.avatars or [])
            trial.ready_s = loop.time() - began_s
            if settings.avatar in trial.avatars:
                await draw(settings, client, waiter)
                trial.drawn_s = loop.time() - began_s - trial.ready_s
        except (WorkerFault, WorkerGone) as error:
            trial.fault = str(error)
    return trial


def check_worker(settings: Settings) -> Iterator[Finding]:
    """A real worker: started, asked for its avatars, made to draw the one that goes on air."""
    trial = asyncio.run(_tried(settings))
    fix = "mend what is said above first; whep-avatar serve --log-level DEBUG says more"
    if trial.ready_s is None:
        yield Finding("worker", False, f"not ready: {trial.fault}", fix)
        return
    says = f"ready in {trial.ready_s:.1f} s; avatars: {', '.join(trial.avatars) or 'none'}"
    if settings.avatar not in trial.avatars:
        yield Finding("worker", False, f"{says}; not {settings.avatar}", f"set {PREFIX}AVATAR to one of them")
        return
    yield Finding("worker", True, says)
    what = f"{settings.avatar} at {settings.width}x{settings.height}"
    if trial.drawn_s is None:
        yield Finding("drawing", False, f"{what}: {trial.fault}", fix)
        return
    yield Finding("drawing", True, f"{what} was loaded and spoke after {trial.drawn_s:.1f} s")


async def _tried(settings: Settings) -> Trial:
    waiter = Waiter()  # made here: its event belongs to this loop
    root = logging.getLogger()
    root.addHandler(waiter)
    try:
        return await try_worker(settings, waiter)
    finally:
        root.removeHandler(waiter)
