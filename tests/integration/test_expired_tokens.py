"""What a token let in ends with it, where it would not end by itself: WebSockets and event streams."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.clients.pcm_socket import pcm_socket
from tests.clients.waiting import until
from tests.integration.pcm_server import PcmServer, heard, pcm_serving, samples
from whep_server.signaling.tokens import EVERY, LEEWAY_S, Grant, Scope, Secret, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = Secret("", "s" * 32)
SOON_S = 2
"""So long a token is still good that is to end in a test; a slow machine connects within it."""
FILES = {"audio_file": ("a.wav", b"speech", "audio/wav")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded() -> AsyncIterator[PcmServer]:
    async with pcm_serving(token_secrets=SECRET.key) as running:
        yield running


def bearer(scope: Scope, *, left_s: float = 600, stream: str = "demo") -> dict[str, str]:
    """A header with a token that is good for so long, the leeway included."""
    token = sign(SECRET, Grant(frozenset({scope}), stream), round(time.time() + left_s - LEEWAY_S))
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def listening(server: PcmServer, path: str, headers: dict[str, str]) -> AsyncIterator[AsyncIterator[str]]:
    async with server.http.stream("GET", path, headers=headers, timeout=30) as response:
        assert response.status_code == 200
        yield response.aiter_lines()


async def test_a_socket_is_told_that_its_token_has_expired_and_closed(guarded: PcmServer):
    voice = guarded.anew().pcm
    brief = bearer(Scope.SPEAK, left_s=SOON_S)
    async with pcm_socket(guarded.base, additional_headers=brief) as socket:
        begun = await socket.begin()
        await socket.samples(samples(960))
        await heard(voice.made[0], 960)
        error = await socket.until("error")
        assert error["error"] == "token-expired" and error["fatal"] and error["utterance"] == begun["utterance"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.event()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
    await until(lambda: voice.made[0].committed, 5, "spoken as far as it came")
    assert voice.made[0].broken_off and voice.made[0].heard == samples(960)
    with pytest.raises(InvalidStatus) as refused:
        async with pcm_socket(guarded.base, additional_headers=brief):
            pass
    assert refused.value.response.status_code == 401
    async with pcm_socket(guarded.base, additional_headers=bearer(Scope.SPEAK)) as again:
        assert (await again.begin())["utterance"] == "u2"


async def test_a_listener_is_told_that_its_token_has_expired(guarded: PcmServer):
    guarded.anew()
    path = "/streams/demo/events"
    async with (
        listening(guarded, path, bearer(Scope.WATCH, left_s=SOON_S)) as brief,
        listening(guarded, path, bearer(Scope.WATCH)) as lasting,
    ):
        lines = [line async for line in brief if line]  # up to its end
        assert lines[-2] == "event: expired" and "expired" in json.loads(lines[-1].removeprefix("data: "))["detail"]
        assert (await anext(lasting)).startswith("retry:")  # and goes on
        with pytest.raises(httpx.ReadTimeout):
            async with guarded.http.stream("GET", path, headers=bearer(Scope.WATCH), timeout=0.2) as going_on:
                assert "event: expired" not in [line async for line in going_on.aiter_lines()]


async def test_a_listener_of_the_original_kind_comes_back_with_a_new_token_and_misses_nothing(guarded: PcmServer):
    http, admin = guarded.http, bearer(Scope.ADMIN, stream=EVERY)
    made = await http.post("/sessions/create", params={"avatar_id": "nova"}, headers=admin)
    session = made.json()["session_id"]
    path = f"/sessions/{session}"
    async with listening(guarded, f"{path}/events", bearer(Scope.WATCH, left_s=SOON_S, stream=session)) as brief:
        assert [line async for line in brief if line.startswith("data")] == []
    assert (await http.post(f"{path}/stream", files=FILES, headers=admin)).status_code == 200
    async with listening(guarded, f"{path}/events", bearer(Scope.WATCH, stream=session)) as again:
        told = [json.loads(line.removeprefix("data: ")) async for line in again if line.startswith("data")]
    assert told and told[-1]["event"] == "complete"


async def test_who_holds_a_session_s_address_listens_as_long_as_the_session_lasts(guarded: PcmServer):
    guarded.anew()
    offered = {"Content-Type": "application/sdp", **bearer(Scope.WATCH, left_s=SOON_S)}
    answer = await guarded.http.post("/whep/demo", content="v=0\r\n", headers=offered)
    assert answer.status_code == 201
    brief = bearer(Scope.WATCH, left_s=0)  # ended by now: it is good where the address is enough
    async with listening(guarded, f"{answer.headers['location']}/events", brief) as events:
        assert (await anext(events)).startswith("retry:")
        deleted = await guarded.http.delete(answer.headers["location"], headers=brief)
        assert deleted.status_code == 200
        assert not [line async for line in events if "expired" in line]
