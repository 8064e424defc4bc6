"""The second avatar takes poses on a real server: what viewers see on the way, under speech, and joining in a pose."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.engines.viseme.mover import FigureMover
from avatar.engines.viseme.pose import VisemeState
from avatar.poses import pose_motion
from tests.clients.event_log import EventLog, listening, speak
from tests.clients.picture_steps import Reference
from tests.clients.recording_viewer import Picture, Viewer, watching
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence
from tests.clients.waiting import until

pytestmark = pytest.mark.timeout(400)  # idle loops are encoded

SIZE, FPS = (512, 512), 15
STREAM = "posed"
MOST_OF_TURN = 4.0
"""Units: steps of luma, mean: half of what a head makes that jumps into the pose; the eased way takes 1.9 at most."""


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A server on which the second avatar is on air."""
    made = {"name": STREAM, "avatar": "jonah", "width": SIZE[0], "height": SIZE[1], "fps": FPS}
    async with httpx.AsyncClient(base_url=server.base, timeout=60, trust_env=False) as client:
        assert (await client.post("/streams", json=made)).status_code == 201
        yield client
        await client.delete(f"/streams/{STREAM}")


async def state_of(http: httpx.AsyncClient) -> dict[str, object]:
    return dict((await http.get(f"/streams/{STREAM}")).json())


async def pose(http: httpx.AsyncClient, wanted: str) -> None:
    answer = await http.post(f"/streams/{STREAM}/pose", json={"pose": wanted})
    assert (answer.status_code, answer.json()["pose"]) == (200, wanted)


def luma_of(picture: Picture) -> NDArray[np.int16]:
    """In full size, whichever rendition it is. Shapes: (height, width)."""
    full = picture.frame.reformat(*SIZE, "yuv420p").to_ndarray()
    return np.asarray(full[: SIZE[1]], np.int16)


class Gallery:
    """The avatar in each pose, to tell which one a picture shows."""

    def __init__(self) -> None:
        reference = Reference("jonah", SIZE)
        assert isinstance(reference.avatar.state, VisemeState)
        mover, count = FigureMover(reference.avatar.state.view), len(reference)
        self._known: dict[str, NDArray[np.int16]] = {}
        for pose in ("neutral", "listening"):
            pictures = np.zeros((count, SIZE[1] * 3 // 2, SIZE[0]), np.uint8)
            for index, picture in enumerate(pictures):
                picture[: SIZE[1]] = reference.luma(index)
                mover(picture, pose_motion(pose, index, count))
            self._known[pose] = pictures[:, : SIZE[1] : 8, ::8].astype(np.int16)

    def pose_of(self, picture: Picture) -> str:
        """The nearest one."""
        small = luma_of(picture)[::8, ::8]
        return min(self._known, key=lambda pose: float(np.abs(self._known[pose] - small).mean(axis=(1, 2)).min()))


async def at_rest(http: httpx.AsyncClient) -> None:
    """Wait until no stream is drawn live: the idle loop of the pose is there, and on."""
    deadline_s = asyncio.get_running_loop().time() + 120
    while "whep_avatar_worker_live_streams 0" not in (await http.get("/metrics")).text:
        assert asyncio.get_running_loop().time() < deadline_s, "the pose's idle loop is not there"
        await asyncio.sleep(0.2)


async def test_a_viewer_sees_every_pose_come_without_a_jump(server: Server, http: httpx.AsyncClient):
    gallery = Gallery()
    async with listening(server.base, STREAM) as events:
        await until_shown(events)
        async with watching(f"{server.base}/whep/{STREAM}") as viewer:
            await viewer.wait_pictures(2 * FPS)
            await pose(http, "listening")
            await until(lambda: gallery.pose_of(viewer.pictures[-1]) == "listening", 60, "the head tilted")
            assert (await state_of(http))["pose"] == "listening"
            assert events.find("pose")[-1].data == {"pose": "listening"}
            assert "speaking" not in events.states(), "it said nothing"

            utterance = await speak(server.base, sentence(longest_s=4).wav, STREAM)
            await events.wait(60, "speech", state="finished", utterance=utterance)
            await events.wait_idle(20)
            await viewer.wait_pictures(FPS)
            assert gallery.pose_of(viewer.pictures[-1]) == "listening", "under speech, and after it"

            await at_rest(http)
            async with watching(f"{server.base}/whep/{STREAM}") as late:
                await late.wait_pictures(FPS)
            assert {gallery.pose_of(picture) for picture in late.pictures} == {"listening"}, "who comes sees it at once"

            await pose(http, "neutral")
            await until(lambda: gallery.pose_of(viewer.pictures[-1]) == "neutral", 60, "the head straight again")
            await at_rest(http)
            await viewer.wait_pictures(FPS)

    assert viewer.video.lost() == 0
    shown = [gallery.pose_of(picture) for picture in viewer.pictures]
    assert sum(earlier != later for earlier, later in itertools.pairwise(shown)) == 2, "there once, and back once"
    whole = [each for each, times in zip(steps(viewer.pictures), spans(viewer), strict=True) if times == 1]
    assert max(whole) < MOST_OF_TURN, "nothing jumps"


def steps(pictures: list[Picture]) -> list[float]:
    """From each picture to the next: the mean difference of luma."""
    luma = [luma_of(picture) for picture in pictures]
    return [float(np.abs(later - earlier).mean()) for earlier, later in itertools.pairwise(luma)]


def spans(viewer: Viewer) -> list[int]:
    """From each picture to the next: frames of media time; more than one where a busy machine left some out."""
    times = [picture.rtp_time for picture in viewer.pictures]
    return [round((later - earlier) * FPS / 90_000) for earlier, later in itertools.pairwise(times)]


async def until_shown(events: EventLog) -> None:
    """The stream's idle loop is there."""
    await until(lambda: events.states()[-1] == "idle", 120, "idle loop of the second avatar")
