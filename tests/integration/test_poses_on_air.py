"""The second avatar takes poses on a real server: what viewers see on the way, under speech, and joining in a pose."""

import itertools
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clients.event_log import EventLog, listening, speak
from tests.clients.recording_viewer import Picture, Viewer, watching
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence
from tests.clients.waiting import until

pytestmark = pytest.mark.timeout(400)  # idle loops are encoded

SIZE, FPS = (512, 512), 15
STREAM = "posed"


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


def centre(picture: Picture) -> float:
    """How far right of the middle the hair's dark top is: what a tilt of the head moves most. Units: pixels."""
    top = luma_of(picture)[30:90].astype(float)
    weights = np.clip(90 - top, 0, None).sum(axis=0)
    return float((weights * np.arange(SIZE[0])).sum() / weights.sum() - SIZE[0] / 2)


async def settles(viewer: Viewer, *, tilted: bool) -> None:
    """Wait until the head is where a pose has it, and for a second more."""
    await until(lambda: (centre(viewer.pictures[-1]) > 7) is tilted, 60, "the head where the pose has it")
    await viewer.wait_pictures(FPS)


async def test_a_viewer_sees_every_pose_come_without_a_jump(server: Server, http: httpx.AsyncClient):
    async with listening(server.base, STREAM) as events:
        await until_shown(events)
        async with watching(f"{server.base}/whep/{STREAM}") as viewer:
            await viewer.wait_pictures(8 * FPS)
            usual = steps(viewer.pictures)
            await pose(http, "listening")
            await settles(viewer, tilted=True)
            assert (await state_of(http))["pose"] == "listening"
            assert events.find("pose")[-1].data == {"pose": "listening"}
            assert "speaking" not in events.states(), "it said nothing"

            utterance = await speak(server.base, sentence(longest_s=4).wav, STREAM)
            await events.wait(60, "speech", state="finished", utterance=utterance)
            await events.wait_idle(20)
            await viewer.wait_pictures(FPS)
            assert centre(viewer.pictures[-1]) > 7, "it listens on"

            async with watching(f"{server.base}/whep/{STREAM}") as late:
                await late.wait_pictures(FPS)
            assert min(centre(picture) for picture in late.pictures) > 7, "who comes in the pose sees nothing else"

            await pose(http, "neutral")
            await settles(viewer, tilted=False)

    assert viewer.video.lost() == 0
    seen = viewer.pictures
    assert max(steps(seen)) < 3.0 + max(usual), "no picture is further from the one before than a blink, and a turn"
    tilt = np.array([centre(picture) for picture in seen])
    assert np.abs(np.diff(tilt)).max() < 3.0, "pixels a picture"


def steps(pictures: list[Picture]) -> list[float]:
    """From each picture to the next: the mean difference of luma."""
    luma = [luma_of(picture) for picture in pictures]
    return [float(np.abs(later - earlier).mean()) for earlier, later in itertools.pairwise(luma)]


async def until_shown(events: EventLog) -> None:
    """The stream's idle loop is there."""
    await until(lambda: events.states()[-1] == "idle", 120, "idle loop of the second avatar")
