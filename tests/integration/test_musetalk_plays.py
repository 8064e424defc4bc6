"""A face of the original server speaks to a real viewer: real server, worker, loaders and networks, which are tiny.

The weights are chance, so the mouth shows noise. What is asked is that it shows it where and when it should, and only
there.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.engines.musetalk.original_avatar import load_original
from avatar.prepared import PreparedAvatar
from tests.clients.event_log import EventLog, listening, speak
from tests.clients.recording_viewer import Picture, watching
from tests.clients.server_process import Server, running_server
from tests.clients.speech_files import sentence
from tests.musetalk_avatars import SIZE, write_original
from tests.musetalk_models import write_models

FPS = 10
TRIES = 6
ENOUGH = 5
"""Pictures of a mouth that speaks."""
MOVED = 12
"""Units: grey levels."""
MARGIN = 16
"""A macroblock: what encoding spreads beyond a box."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As an operator of the original server has it: avatars under results, weights under models."""
    root = tmp_path_factory.mktemp("musetalk")
    write_models(root / "models")
    write_original(root / "avatars" / "anna", stacked=True)
    return root


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with running_server(
        log_name="musetalk",
        avatar="anna",
        avatars=str(place / "avatars"),
        cache=str(place / "cache"),
        width=str(SIZE[0]),
        height=str(SIZE[1]),
        fps=str(FPS),
        bitrate_bps="2000000",
        musetalk_models=str(place / "models"),
        musetalk_device="cpu",
        musetalk_max_batch="2",
        lead_ms="400",  # a CPU takes its time
        worker_start_s="140",
        max_speaking="8",  # on a busy machine its warm-up would allow one
    ) as running:
        yield running


class Stage:
    """The avatar's film, and where its mouths are."""

    def __init__(self, avatar: PreparedAvatar) -> None:
        self.luma = avatar.pictures[:, : SIZE[1]].astype(np.int16)
        boxes = [mouth.box for mouth in avatar.state.mouths]  # type: ignore[attr-defined]
        left, top = (min(box[side] for box in boxes) for side in (0, 1))
        right, bottom = (max(box[side] + box[side + 2] for box in boxes) for side in (0, 1))
        self.inside = np.zeros((SIZE[1], SIZE[0]), bool)
        self.inside[top + 8 : bottom - 20, left + 16 : right - 16] = True  # well under every mask
        self.outside = np.ones((SIZE[1], SIZE[0]), bool)
        self.outside[top - MARGIN : bottom + MARGIN, left - MARGIN : right + MARGIN] = False

    def changes(self, pictures: list[Picture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far each picture is from the film's nearest one: at the mouth, and elsewhere. Units: grey levels."""
        seen = [picture.i420()[: SIZE[1]].astype(np.int16) for picture in pictures]
        apart = [np.abs(self.luma - one) for one in seen]
        nearest = [each[int(np.argmin(each[:, self.outside].mean(axis=1)))] for each in apart]
        mouth, rest = ([each[where].mean() for each in nearest] for where in (self.inside, self.outside))
        return np.array(mouth), np.array(rest)


async def said(server: Server, events: EventLog, stream: str = "demo") -> None:
    """Have a sentence spoken to its end."""
    utterance = await speak(server.base, sentence("espeak", longest_s=3).wav, stream)
    finished = await events.wait(60, "speech", state="finished", utterance=utterance)
    assert finished.data.get("error") is None


async def test_it_speaks_and_nothing_but_its_mouth_moves(server: Server, place: Path):
    """A CPU makes a face in time where it has one to itself: it is tried a few times."""
    stage = Stage(load_original(place / "avatars" / "anna", SIZE))
    async with listening(server.base) as events, watching(server.whep()) as viewer:
        await events.wait_idle(60)
        await viewer.wait_pictures(10)
        before = len(viewer.pictures)
        for _ in range(TRIES):
            await said(server, events)
            await events.wait_idle(20)
            await viewer.wait_pictures(10)
            mouth, rest = stage.changes(viewer.pictures)
            moved = np.flatnonzero(mouth > MOVED)
            if len(moved) >= ENOUGH:
                break
    assert rest.max() < 4, rest
    assert mouth[: before - 1].max() < 4 and mouth[-5:].max() < 4, "idle, it is the film"
    assert len(moved) >= ENOUGH and moved.min() >= before - 1
    async with httpx.AsyncClient(base_url=server.base, timeout=30, trust_env=False) as client:
        page = (await client.get("/metrics")).text
    assert 'whep_avatar_worker_slack_seconds_bucket{engine="musetalk",le="+Inf"}' in page
    _, samples = viewer.samples()
    assert np.abs(samples).max() > 0.05


async def test_two_of_them_speak_at_once(server: Server, place: Path):
    """Each is seen to; their faces come from shared batches."""
    stage = Stage(load_original(place / "avatars" / "anna", SIZE))
    async with httpx.AsyncClient(base_url=server.base, timeout=30, trust_env=False) as client:
        made = await client.post("/streams", json={"name": "two", "avatar": "anna", "fps": FPS})
        assert made.status_code == 201, made.text
        async with (
            listening(server.base) as one,
            listening(server.base, "two") as other,
            watching(server.whep()) as viewer,
            watching(server.whep("two")) as second,
        ):
            for _ in range(TRIES):
                async with asyncio.TaskGroup() as both:
                    both.create_task(said(server, one))
                    both.create_task(said(server, other, "two"))
                found = [stage.changes(each.pictures) for each in (viewer, second)]
                if all((mouth > MOVED).any() for mouth, _ in found):
                    break
        for mouth, rest in found:
            assert rest.max() < 4 and (mouth > MOVED).any()
        assert (await client.delete("/streams/two")).status_code in (200, 204)
