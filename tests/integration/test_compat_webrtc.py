"""The original server's WebRTC sessions with real peers on the real live layer; only the worker is a fake."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from aiortc import RTCSessionDescription

from tests.aiortc_player import Player, player
from tests.clients.event_log import listening
from tests.fakes import SIZE, FakeOpener, speech
from tests.greeting import without_greeting
from tests.integration.http_server import serving, until_answer
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

SESSIONS = "/webrtc/sessions"
TICKS = 90_000


@dataclass(frozen=True, slots=True)
class Session:
    """One session as a client of the original sees it."""

    http: httpx.AsyncClient
    id: str

    @property
    def path(self) -> str:
        return f"{SESSIONS}/{self.id}"

    async def join(self, peer: Player, *, early: bool = False) -> None:
        """Offer without candidates and trickle them as Chromium does, perhaps before the offer is answered."""
        await peer.connection.setLocalDescription(await peer.connection.createOffer())
        lines = peer.connection.localDescription.sdp.splitlines()
        ufrag = next(line for line in lines if line.startswith("a=ice-ufrag:")).removeprefix("a=ice-ufrag:")
        told = {line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")}
        bare = "".join(f"{line}\r\n" for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates")))
        if early:
            await self.trickle(told, ufrag)
        answered = await self.http.post(f"{self.path}/offer", json={"sdp": bare, "type": "offer"})
        assert answered.status_code == 200, answer_text(answered)
        assert answered.json().keys() == {"sdp", "type"} and answered.json()["type"] == "answer"
        await peer.connection.setRemoteDescription(RTCSessionDescription(answered.json()["sdp"], "answer"))
        if not early:
            await self.trickle(told, ufrag)

    async def trickle(self, candidates: set[str], ufrag: str) -> None:
        """What a browser says of its candidates, and that there are no more."""
        for candidate in candidates:
            body = {"candidate": f"{candidate} ufrag {ufrag}", "sdpMid": "0", "sdpMLineIndex": 0}
            assert (await self.http.post(f"{self.path}/ice", json=body)).json() == {"status": "ok"}
        last = {"candidate": None, "sdpMid": None, "sdpMLineIndex": None}
        assert (await self.http.post(f"{self.path}/ice", json=last)).json() == {"status": "ok"}

    async def say(self, frames: int) -> httpx.Response:
        """Speech of so many pictures."""
        return await self.http.post(f"{self.path}/stream", files={"audio_file": ("a.wav", speech(frames))})

    async def status(self) -> dict[str, Any]:
        return dict((await self.http.get(f"{self.path}/status")).json())


def answer_text(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text}"


async def create(http: httpx.AsyncClient, **query: object) -> Session:
    made = await http.post(f"{SESSIONS}/create", params={"avatar_id": "nova", **query})  # type: ignore[arg-type]
    assert made.status_code == 200, answer_text(made)
    return Session(http, made.json()["session_id"])


@asynccontextmanager
async def served(opener: FakeOpener) -> AsyncIterator[httpx.AsyncClient]:
    @asynccontextmanager
    async def open_live(settings: Settings) -> AsyncIterator[Registry]:
        async with open_registry(settings, opener) as registry:
            yield registry

    async with serving(Settings(width=SIZE[0], height=SIZE[1]), open_live) as client:
        await until_answer(client, "/health", lambda answer: answer.status_code == 200)
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with served(FakeOpener()) as client:
        yield client


async def test_a_session_is_watched_speaks_once_at_a_time_and_is_idle_again(http):
    session = await create(http, fps=10)
    assert (await session.status())["status"] == "created"
    async with player() as peer:
        await session.join(peer)
        await peer.until(lambda: len(peer.pictures) > 3 and not any(seen.live for seen in peer.pictures))
        state = await session.status()
        assert (state["status"], state["active_stream"]) == ("connected", None)
        assert [(each["connection_state"], each["video"]["codec"]) for each in state["viewers"]] == [
            ("connected", "H264")
        ]
        said = await session.say(12)
        running = said.json()["request_id"]
        assert said.json() | {"message": ""} == {
            "request_id": running,
            "session_id": session.id,
            "status": "streaming",
            "message": "",
        }
        refused = await session.say(3)
        assert refused.status_code == 409 and running in refused.json()["detail"]
        state = await session.status()
        assert (state["status"], state["active_stream"]) == ("streaming", running)
        await peer.until(lambda: any(seen.live for seen in peer.pictures))
        await peer.until(lambda: not peer.pictures[-1].live)
        await until_answer(http, f"{session.path}/status", lambda answer: answer.json()["active_stream"] is None)
        assert (await session.say(2)).status_code == 200, "and free for the next"
        state = await session.status()
        assert state["last_utterance"]["seconds"] and state["track_stats"]["video"]["output_frames_sent"] > 10
        assert state["ice_state"] == "completed"
        times = without_greeting([seen.pts for seen in peer.pictures])
        assert all((later - earlier) % (TICKS // 10) == 0 for earlier, later in itertools.pairwise(times))
    assert (await http.delete(session.path)).json() == {"status": "deleted", "session_id": session.id}
    assert (await http.get(f"{session.path}/status")).status_code == 404
    assert (await session.say(1)).status_code == 404


async def test_a_page_is_loaded_again_others_watch_and_whep_plays_along(http):
    session = await create(http, fps=10, playback_fps=20)
    async with player() as first, player() as second, player() as third:
        await session.join(first)
        await first.until(lambda: len(first.pictures) > 1)
        await session.join(second, early=True)
        await third.connection.setLocalDescription(await third.connection.createOffer())
        headers = {"Content-Type": "application/sdp"}
        offer = third.connection.localDescription.sdp
        created = await http.post(f"/whep/{session.id}", content=offer, headers=headers)
        await third.connection.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
        for peer in (first, second, third):
            seen = len(peer.pictures)
            await peer.until(lambda peer=peer, seen=seen: len(peer.pictures) > seen + 3)
        listed = (await http.get(f"{SESSIONS}/stats")).json()
        (shown,) = listed["sessions"]
        assert (listed["total_sessions"], len(shown["viewers"])) == (1, 3)
        assert (shown["fps"], shown["playback_fps"]) == (10, 20)
        await first.connection.close()  # the page that was loaded again
        await until_answer(http, f"{session.path}/status", lambda answer: len(answer.json()["viewers"]) == 2)
        before = len(second.pictures)
        await second.until(lambda: len(second.pictures) > before + 3)


async def test_a_stream_that_nobody_is_told_of_is_not_shown_but_can_be_listened_to(http):
    session = await create(http)
    assert session.id not in (await http.get("/streams")).text
    async with listening(str(http.base_url), session.id) as events:
        assert (await session.say(1)).status_code == 200
        await events.wait(20, "speech", state="finished")


async def test_speech_that_is_none_leaves_the_session_free(http):
    session = await create(http)
    for audio in (b"", b"This is no sound."):
        refused = await http.post(f"{session.path}/stream", files={"audio_file": ("a.wav", audio)})
        assert refused.status_code == 422 and isinstance(refused.json()["detail"], str)
    assert (await session.status())["active_stream"] is None
    assert (await session.say(1)).status_code == 200, "before anybody watches"
    await until_answer(http, f"{session.path}/status", lambda answer: answer.json()["active_stream"] is None)


async def test_a_worker_that_is_lost_frees_the_session():
    opener = FakeOpener()
    async with served(opener) as http:
        session = await create(http)
        assert (await session.say(500)).status_code == 200
        opener.worker.die()
        await until_answer(http, f"{session.path}/status", lambda answer: answer.json()["active_stream"] is None)


async def test_eight_that_speak_are_deleted_at_once(http, caplog):
    async with AsyncExitStack() as held:
        sessions = await asyncio.gather(*(create(http, fps=10) for _ in range(8)))
        peers = [await held.enter_async_context(player()) for _ in sessions]
        for session, peer in zip(sessions, peers, strict=True):
            await session.join(peer)
        assert {answer.status_code for answer in await asyncio.gather(*(each.say(500) for each in sessions))} == {200}
        for peer in peers:
            await peer.until(lambda peer=peer: len(peer.pictures) > 1)
        deleted = await asyncio.gather(*(http.delete(session.path) for session in sessions))
        assert [answer.json()["session_id"] for answer in deleted] == [session.id for session in sessions]
        for peer in peers:
            await peer.until(lambda peer=peer: peer.connection.connectionState in ("closed", "failed"))
    listed = (await http.get(f"{SESSIONS}/stats")).json()
    assert (listed["total_sessions"], listed["active_streams"]) == (0, 0)
    await until_answer(http, "/stats", lambda answer: answer.json()["active_requests"] == 0)
    again = await asyncio.gather(*(http.delete(session.path) for session in sessions))
    assert {answer.status_code for answer in again} == {404}
    assert (await http.get("/health")).status_code == 200
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
