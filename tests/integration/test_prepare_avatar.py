"""A user's video becomes an avatar that goes on air and speaks: real registry, worker and preparing process."""

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import av
import msgspec
import numpy as np
import psutil
import pytest
import pytest_asyncio

from avatar.client import Worker, WorkerLimits, WorkerListener, open_worker
from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.warp import WarpPainter
from avatar.messages import Codec, FromWorker, Ready, SpeechFinished, SpeechStarted, VideoFormat, WorkerConfig
from avatar.prepare import FILE_BYTES, MEMORY_BYTES, Order
from avatar.prepared import load_prepared
from avatar.preparer import COMMAND, CannotPrepare, run_preparation
from tests.clients.lip_reading import CLOSED, correlation, least_openings, truth
from tests.clients.speech_files import sentence
from tests.clients.waiting import until
from tests.portraits import SIZE, nova, plain, portrait
from tests.worker_show import LIMITS, ROOT, Seen, Show, seen_pictures
from whep_server.errors import AvatarKept, BadRequest, NoSuchAvatar, NotAvatarVideo, Unavailable
from whep_server.live.preparations import Preparation, WantedAvatar
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHAPE = VideoFormat(*SIZE, 25, 1_500_000)
PICTURES = 25
NAME = "Anna_2.b-c"
"""Every kind of character that the original server's names have."""
DEADLINE_S = 60


class Tee(Seen):
    """Keeps what a worker says, and passes it on to the registry."""

    def __init__(self) -> None:
        super().__init__()
        self.registry: WorkerListener

    def opener(
        self, config: WorkerConfig, _: WorkerLimits, listener: WorkerListener
    ) -> AbstractAsyncContextManager[Worker]:
        self.registry = listener
        return open_worker(config, LIMITS, self)

    def worker_ready(self, ready: Ready) -> None:
        super().worker_ready(ready)
        self.registry.worker_ready(ready)

    def worker_message(self, message: FromWorker) -> None:
        super().worker_message(message)
        self.registry.worker_message(message)

    def worker_lost(self, detail: str) -> None:
        super().worker_lost(detail)
        self.registry.worker_lost(detail)


@dataclasses.dataclass
class Place:
    """A server's insides, and a video that an avatar was made of."""

    settings: Settings
    registry: Registry
    seen: Tee
    video: Path

    def leftovers(self) -> list[str]:
        return [path.name for path in self.settings.avatars.glob(".*")]

    def preparing(self) -> list[psutil.Process]:
        """The preparing process."""
        assert self.registry.worker.pid is not None
        children = psutil.Process(self.registry.worker.pid).children(recursive=True)
        return [child for child in children if "avatar.prepare" in child.cmdline()]

    async def make(self, name: str, video: Path, *, title: str = "", replace: bool = False) -> Preparation | None:
        """An avatar of the video; None where there was one. Errors: why there is none."""
        preparation = self.registry.begin_avatar(WantedAvatar(name, video, title, replace))
        if preparation is not None:
            await self.registry.preparations.made(preparation)
        return preparation

    async def ready(self) -> None:
        await until(lambda: self.registry.avatars, DEADLINE_S, "the worker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    root = tmp_path_factory.mktemp("place")
    settings = Settings(avatars=root / "avatars", cache=root, width=SIZE[0], height=SIZE[1], demo_stream="")
    seen = Tee()
    async with open_registry(settings, seen.opener) as registry:
        place = Place(settings, registry, seen, portrait(root / "portrait.mp4", PICTURES))
        await place.ready()
        await place.make(NAME, place.video, title="Anna")
        yield place


async def test_the_avatar_is_listed_and_whole(place: Place):
    names = {info.name: info for info in place.registry.avatars}
    assert list(names) == ["jonah", "nova", NAME]
    info = names[NAME]
    assert (info.title, info.engine, info.sizes, info.shipped) == ("Anna (experimental)", "viseme", [SIZE], False)
    assert names["nova"].shipped
    assert place.leftovers() == []
    with av.open(str(place.registry.avatar_film(NAME))) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (*SIZE, 2 * PICTURES)
    assert place.registry.avatar_film("nova").is_file()
    directory = place.settings.avatars / NAME
    assert (directory / f"poster-{SIZE[0]}x{SIZE[1]}.jpg").read_bytes().startswith(b"\xff\xd8")
    assert str(place.settings.avatars) not in (directory / "avatar.json").read_text()


async def test_it_speaks_with_its_own_mouth(place: Place):
    """The lips follow the sounds, are shut on p, b and m, and nothing but the mouth moves."""
    spoken = sentence("espeak", longest_s=6)
    stage = Show(place.registry.worker, place.seen)  # type: ignore[arg-type]  # the real one behind its Protocol
    await stage.open("speaks", NAME, SHAPE)
    await stage.accepted(spoken.wav, stream="speaks")
    await stage.go_live(0, "speaks")
    await stage.play_out("speaks", portion=8)
    units = place.seen.units(Codec.H264, "speaks")
    pictures = seen_pictures(units)
    frames = np.array([unit.media_time * 25 // 90_000 for unit in units])  # a busy machine leaves some out
    (started,) = place.seen.of(SpeechStarted, "speaks")
    (finished,) = place.seen.of(SpeechFinished, "speaks")
    assert finished.error is None
    avatar = load_prepared(place.settings.avatars / NAME, SIZE)
    under = [avatar.picture_at(int(frame), 25) for frame in frames]
    assert max(under) == avatar.picture_at(PICTURES, 25) == PICTURES - 1, "forward, then backward"
    times = frames / 25 - started.media_time / 48_000
    # the video shows Nova, of whom it is known where her lips are
    openings = np.array([mouth_opening(seen, nova().state, k) for seen, k in zip(pictures, under, strict=True)])
    assert correlation(openings, truth(spoken, times)) > 0.7
    closures = least_openings([each for each in spoken.segments if each.end_s < 6], times, openings)
    assert len(closures) > 10
    assert np.mean(np.array(closures) < CLOSED) >= 0.9
    assert openings.max() > 0.15
    painter = WarpPainter(avatar)
    for seen, k in zip(pictures[::5], under[::5], strict=True):
        x, y, width, height = painter.box(k)
        change = np.abs(seen[: SIZE[1]].astype(int) - avatar.pictures[k][: SIZE[1]])
        change[y : y + height, x : x + width] = 0
        assert change.mean() < 1.5 and np.percentile(change, 99.9) < 20, "only what encoding does"


async def test_an_avatar_that_is_there_is_not_made_again(place: Place):
    made = (place.settings.avatars / NAME / "avatar.json").stat().st_mtime_ns
    assert await place.make(NAME, Path("/nowhere"), title="Other") is None
    assert (place.settings.avatars / NAME / "avatar.json").stat().st_mtime_ns == made


async def test_what_is_on_air_or_shipped_is_kept(place: Place):
    await place.registry.put_on_air("anna", NAME, VideoFormat(*SIZE, 10))
    try:
        with pytest.raises(AvatarKept, match="on air"):
            await place.make(NAME, place.video, replace=True)
        with pytest.raises(AvatarKept, match="on air"):
            await place.registry.delete_avatar(NAME, from_disk=True)
    finally:
        await place.registry.take_off_air("anna")
    with pytest.raises(AvatarKept, match="shipped"):
        await place.make("nova", place.video, replace=True)
    with pytest.raises(AvatarKept, match="shipped"):
        await place.registry.delete_avatar("nova", from_disk=True)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../x", "a b", "é", "a\0", "x" * 129])
async def test_a_name_that_leads_elsewhere_is_refused(place: Place, name: str):
    with pytest.raises(BadRequest, match="name"):
        await place.make(name, place.video)
    with pytest.raises(NoSuchAvatar):
        await place.registry.delete_avatar(name, from_disk=True)
    with pytest.raises(NoSuchAvatar):
        place.registry.avatar_film(name)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_videos_that_cannot_be_used_are_refused_and_leave_nothing(place: Place, tmp_path: Path):
    """Each takes a process: what else is refused is in the unit tests."""
    cut = written(tmp_path / "cut.mp4", place.video.read_bytes()[:2000])
    for reason, video in {"no picture": cut, "no face": plain(tmp_path / "plain.mp4")}.items():
        with pytest.raises(NotAvatarVideo, match=reason):
            await place.make("bad", video)
    with pytest.raises(Unavailable):
        await place.make("bad", tmp_path / "gone.mp4")
    assert [info.name for info in place.registry.avatars] == ["jonah", "nova", NAME]
    assert [path.name for path in place.settings.avatars.iterdir()] == [NAME]


async def test_a_video_that_kills_its_process_harms_nobody(place: Place):
    """Killed in the middle, as by a decoder that is made to crash, while a stream speaks."""
    stage = Show(place.registry.worker, place.seen)  # type: ignore[arg-type]
    await stage.open("calm", "nova", SHAPE)
    await stage.accepted(sentence("espeak", longest_s=2).wav, stream="calm")
    await stage.go_live(0, "calm")
    async with asyncio.TaskGroup() as group:
        doomed = group.create_task(expect_refusal(place), name="doomed")
        (process,) = await until(place.preparing, DEADLINE_S, "the preparing process")
        await until(lambda: process.rlimit(psutil.RLIMIT_FSIZE)[0] == FILE_BYTES, DEADLINE_S, "its limits")
        assert process.nice() == 19 and process.rlimit(psutil.RLIMIT_AS)[0] == MEMORY_BYTES
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        assert await asyncio.to_thread(Path(f"/proc/{process.pid}/oom_score_adj").read_text) == "1000\n"
        process.kill()
        await stage.play_out("calm", portion=5)
    assert "SIGKILL" in doomed.result()
    (finished,) = place.seen.of(SpeechFinished, "calm")
    assert (finished.error, finished.samples) == (None, 96_000)
    assert place.leftovers() == []
    assert place.seen.losses == []


async def expect_refusal(place: Place) -> str:
    with pytest.raises(NotAvatarVideo) as refused:
        await place.make("doomed", place.video)
    return refused.value.detail


async def test_what_takes_too_long_is_ended(place: Place, tmp_path: Path):
    order = Order(str(place.video), str(tmp_path / "late"), "late", "", [SIZE])
    with pytest.raises(CannotPrepare, match="longer than"):
        await asyncio.to_thread(run_preparation, order, lambda _: None, 0.1)


async def test_an_avatar_is_made_anew_forgotten_and_deleted(place: Place):
    await place.make(NAME, place.video, title="Berta", replace=True)
    assert [info.title for info in place.registry.avatars if info.name == NAME] == ["Berta (experimental)"]
    stage = Show(place.registry.worker, place.seen)  # type: ignore[arg-type]
    await stage.open("again", NAME, SHAPE)
    forgotten = await place.registry.delete_avatar(NAME, from_disk=False)
    assert (forgotten.evicted, forgotten.path) == (True, None)
    assert not (await place.registry.delete_avatar("nobody", from_disk=False)).evicted
    deleted = await place.registry.delete_avatar(NAME, from_disk=True)
    assert deleted.path == place.settings.avatars / NAME
    assert not deleted.path.exists() and place.leftovers() == []
    assert [info.name for info in place.registry.avatars] == ["jonah", "nova"]
    with pytest.raises(NoSuchAvatar):
        await place.registry.delete_avatar(NAME, from_disk=True)


async def test_a_process_that_nobody_listens_to_ends_and_leaves_nothing(place: Place, tmp_path: Path):
    """As when the worker is killed: what it makes is for nobody."""
    out = tmp_path / "out"
    order = Order(str(place.video), str(out), "orphan", "", [SIZE])
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(msgspec.json.encode(order))
    process.stdin.close()
    await process.stdout.readline()
    assert out.is_dir()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # a reader cannot be closed otherwise
    async with asyncio.timeout(DEADLINE_S):
        assert await process.wait() == 1
    assert not out.exists()
