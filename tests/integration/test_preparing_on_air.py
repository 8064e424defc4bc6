"""Avatars prepared by a real server that is on air: how far it is told, nobody notices, and the ways it ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
import pytest_asyncio

from tests.clients.event_log import listening, speak
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server, running_server
from tests.clients.speech_files import sentence
from tests.clients.waiting import POLL_S, until
from tests.greeting import without_greeting
from tests.integration.http_server import assert_problem
from tests.portraits import plain, portrait

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

JOBS = "/avatars/preparations"
OVER = ("ready", "failed", "cancelled")
DEADLINE_S = 200
"""What prepares gets no time at all where others want it."""
SMALL = {"width": "512", "height": "512", "fps": "10"}


@dataclass
class Place:
    """The server, a client of it, and videos."""

    server: Server
    http: httpx.AsyncClient
    folder: Path
    video: Path

    @property
    def avatars(self) -> Path:
        return self.folder / "avatars"

    async def post(self, name: str, video: Path | None = None, **query: str) -> httpx.Response:
        files = {"video_file": ("me.mp4", (video or self.video).read_bytes(), "video/mp4")}
        return await self.http.post("/avatars/prepare", params={"avatar_id": name, **query}, files=files)

    async def begin(self, name: str, video: Path | None = None, **query: str) -> str:
        """A job's address."""
        begun = await self.post(name, video, wait="false", **query)
        assert begun.status_code == 202, begun.text
        return begun.headers["location"]

    async def until_state(self, location: str, *states: str) -> dict:
        """The job, when it is in one of them."""
        async with asyncio.timeout(DEADLINE_S):
            while (seen := (await self.http.get(location)).json())["state"] not in states:  # noqa: ASYNC110  # told by HTTP
                await asyncio.sleep(POLL_S)
        return seen

    def preparing(self) -> list[psutil.Process]:
        """The preparing process."""
        children = self.server.worker().children(recursive=True)
        return [child for child in children if "avatar.prepare" in child.cmdline()]

    def leftovers(self) -> list[str]:
        """What is hidden among the avatars, and what was uploaded and is not gone."""
        return [path.name for path in [*self.avatars.glob(".*"), *(self.folder / "cache" / "uploads").glob("*")]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    video = portrait(folder / "portrait.mp4", 25)
    settings = {"avatars": str(folder / "avatars"), "max_preparations": "2", **SMALL}
    with running_server(log_name="preparing", **settings) as server:
        async with httpx.AsyncClient(base_url=server.base, timeout=DEADLINE_S, trust_env=False) as http:
            yield Place(server, http, folder, video)


def steps_of(times: Sequence[int]) -> set[int]:
    return {later - earlier for earlier, later in pairwise(times)}


async def test_how_far_it_is_is_told_and_who_watches_misses_nothing(place: Place):
    """No picture of who is idle; and somebody speaks meanwhile, whose time goes on, too."""
    spoken = sentence("espeak", longest_s=1).wav
    assert (await place.http.post("/streams", json={"name": "talker"})).status_code == 201
    async with (
        listening(place.server.base, "talker") as events,
        watching(place.server.whep()) as viewer,
        watching(place.server.whep("talker")) as listener,
    ):
        location = await place.begin("anna")
        utterance = await speak(place.server.base, spoken, "talker")
        seen = [await place.until_state(location, "preparing", *OVER)]
        while seen[-1]["state"] not in OVER:
            seen.append((await place.http.get(location)).json())
        await events.wait(DEADLINE_S, "speech", state="finished", utterance=utterance)
        await viewer.wait_pictures(5)
    assert seen[-1]["state"] == "ready", seen[-1]
    done = [each["done"] for each in seen]
    assert done == sorted(done) and done[-1] == 1.0 and len(set(done)) >= 4, done
    assert {each["stage"] for each in seen} >= {"looking for the face", "writing 512x512"}
    assert seen[-1]["quality"]["face_width"] > 100 and seen[-1]["submitted_at"] <= seen[-1]["started_at"]
    assert steps_of(without_greeting(viewer.video.times())) == {9000}
    for each in (viewer, listener):
        assert each.video.lost() == each.audio.lost() == 0
        assert steps_of(each.audio.times()) == {960}


async def test_what_it_leaves_can_be_looked_at(place: Place):
    (job,) = (await place.http.get(JOBS)).json()["preparations"]
    report = (await place.http.get("/avatars/anna/quality")).json()
    assert report == job["quality"] and report["notes"] == job["quality"]["notes"]
    preview = await place.http.get(job["preview_url"])
    assert preview.headers["content-type"] == "image/jpeg" and preview.content.startswith(b"\xff\xd8")
    assert (await place.http.head(job["preview_url"])).headers["content-length"] == str(len(preview.content))
    assert "anna" in [each["name"] for each in (await place.http.get("/avatars")).json()["avatars"]]
    metrics = (await place.http.get("/metrics")).text
    assert 'whep_avatar_avatar_preparations_total{outcome="ready"} 1.0' in metrics
    assert 'whep_avatar_avatars_in_the_making{state="preparing"} 0.0' in metrics
    await until(lambda: not place.leftovers(), DEADLINE_S, "nothing left")


async def test_who_waits_is_answered_as_ever(place: Place):
    again = await place.post("anna")
    assert again.status_code == 200 and again.json()["message"] == "Avatar anna was prepared before"
    refused = await place.post("plain", plain(place.folder / "plain.mp4"))
    assert refused.status_code == 500 and list(refused.json()) == ["detail"] and "no face" in refused.json()["detail"]


async def test_what_cannot_be_made_says_why_and_leaves_nothing(place: Place):
    """A video without a face; an engine whose weights nobody has given; points that are none."""
    landmarks = {"video_file": ("me.mp4", place.video.read_bytes()), "landmarks": ("me.json", b"[[1, 2]]")}
    for reason, query, files in (
        ("no face", {}, {"video_file": ("me.mp4", (place.folder / "plain.mp4").read_bytes())}),
        ("MUSETALK_MODELS", {"engine": "musetalk"}, {"video_file": ("me.mp4", place.video.read_bytes())}),
        ("landmarks", {}, landmarks),
    ):
        named = {"avatar_id": "other", "wait": "false", **query}
        begun = await place.http.post("/avatars/prepare", params=named, files=files)
        over = await place.until_state(begun.headers["location"], *OVER)
        assert over["state"] == "failed" and reason in over["error"] and over["completed_at"], over
    await until(lambda: not place.leftovers(), DEADLINE_S, "nothing left")
    assert [path.name for path in place.avatars.iterdir()] == ["anna"]


async def test_cancelled_it_leaves_nothing_and_the_old_avatar_in_its_place(place: Place):
    """One that is at work, and one behind it that has not begun."""
    old = (place.avatars / "anna" / "avatar.json").stat()
    at_work = await place.begin("anna", force_recreate="true")
    behind = await place.begin("berta")
    assert (await place.post("carla", wait="false")).status_code == 429
    assert (await place.http.get(behind)).json()["state"] == "queued"
    (process,) = await until(place.preparing, DEADLINE_S, "the preparing process")
    assert (await place.http.delete(behind)).json()["state"] == "cancelled"
    assert (await place.http.get("/avatars/anna/quality")).status_code == 503, "it is being made anew"
    gone = await place.http.delete(at_work)
    assert (gone.status_code, gone.json()["state"]) == (200, "cancelled")
    assert not process.is_running()
    assert_problem(await place.http.delete(at_work), 409)
    assert (place.avatars / "anna" / "avatar.json").stat() == old
    assert (await place.http.get("/avatars/anna/quality")).status_code == 200
    await until(lambda: not place.leftovers(), DEADLINE_S, "nothing left")
    assert [path.name for path in place.avatars.iterdir()] == ["anna"]


async def test_it_ends_with_the_worker_and_says_so(place: Place):
    location = await place.begin("berta")
    await until(place.preparing, DEADLINE_S, "the preparing process")
    place.server.worker().kill()
    over = await place.until_state(location, *OVER)
    assert over["state"] == "failed" and "worker was lost" in over["error"]
    await until(lambda: not place.leftovers(), DEADLINE_S, "nothing left")
    await until(place.server.is_ready, DEADLINE_S, "another worker")


async def test_the_server_s_end_does_not_wait_for_it(place: Place):
    location = await place.begin("berta")
    await until(place.preparing, DEADLINE_S, "the preparing process")
    assert (await place.http.get(location)).json()["state"] == "preparing"
    place.server.process.send_signal(signal.SIGTERM)
    await until(lambda: not place.server.is_alive(), DEADLINE_S, "the server's end")
    assert "cancelling the preparation of berta" in place.server.log.read_text()
    assert place.leftovers() == []
    assert msgspec.json.decode((place.avatars / "anna" / "avatar.json").read_bytes())["name"] == "anna"
    assert [path.name for path in place.avatars.iterdir()] == ["anna"]
