"""The HTTP surface on the real live layer and real peers; only the worker is a fake."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from aiortc import RTCSessionDescription

from tests.aiortc_player import Player, player
from tests.clients.event_log import listening
from tests.clients.waiting import until
from tests.fakes import SIZE, FakeOpener, speech
from tests.integration.http_server import serving, until_answer
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def opener() -> FakeOpener:
    return FakeOpener()


@pytest.fixture
def serve(opener: FakeOpener) -> Serve:
    @asynccontextmanager
    async def open_live(settings: Settings) -> AsyncIterator[Registry]:
        async with open_registry(settings, opener) as registry:
            yield registry

    @asynccontextmanager
    async def serving_live(**changes: object) -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings(**{"width": SIZE[0], "height": SIZE[1], **changes})  # type: ignore[arg-type]
        async with serving(settings, open_live) as client:
            yield client

    return serving_live


async def until_ready(http: httpx.AsyncClient) -> None:
    await until_answer(http, "/readyz", lambda answer: answer.status_code == 200)


async def offer_of(peer: Player) -> str:
    await peer.connection.setLocalDescription(await peer.connection.createOffer())
    return str(peer.connection.localDescription.sdp)


async def test_a_player_joins_trickles_and_leaves(serve):
    async with serve() as http, player() as peer:
        await until_ready(http)
        created = await http.post("/whep/demo", content=await offer_of(peer), headers=SDP)
        assert created.status_code == 201, created.text
        assert created.text.startswith("v=0\r\n") and created.headers["content-length"] == str(len(created.content))
        location = created.headers["location"]
        assert len(location.rpartition("/")[2]) >= 22  # 128 bits in base64
        fragment = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
        headers = FRAGMENT | {"If-Match": created.headers["etag"]}
        assert (await http.patch(location, content=fragment, headers=headers)).status_code == 204
        assert (await http.patch(location, content='{"candidate": ""}', headers=FRAGMENT)).status_code == 400
        assert (await http.get("/streams/demo")).json()["viewers"] == 1
        assert (await http.delete(location)).status_code == 200
        assert (await http.delete(location)).status_code == 404
        await until_answer(http, "/streams/demo", lambda answer: answer.json()["viewers"] == 0)


def without(offer: str, *codecs: str) -> str:
    for codec in codecs:
        offer = offer.replace(f"{codec}/90000", "XYZ/90000")
    return offer


async def test_offers_that_cannot_be_served(serve):
    async with serve() as http, player() as peer:
        await until_ready(http)
        offer = await offer_of(peer)
        refused = await http.post("/whep/demo", content=without(offer, "H264", "VP8"), headers=SDP)
        assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
        vp8 = await http.post("/whep/demo", content=without(offer, "H264"), headers=SDP)
        assert vp8.status_code == 201 and "VP8/90000" in vp8.text
        for bad in ("", "v=0", "hello", offer.replace("a=fingerprint", "a=x-print"), offer.replace("v=0", "v=1")):
            assert (await http.post("/whep/demo", content=bad, headers=SDP)).status_code == 400, bad[:40]
        assert (await http.get("/streams/demo")).json()["viewers"] == 1


async def test_speech_is_heard_of_from_its_upload_to_its_end(serve):
    async with serve() as http:
        await until_ready(http)
        async with listening(str(http.base_url)) as events:
            accepted = await http.post("/streams/demo/speech", content=speech(10))
            assert accepted.status_code == 202
            assert accepted.json()["seconds"] == 0.4 and accepted.json()["queued"] == 0
            utterance = accepted.json()["utterance"]
            for state in ("queued", "started", "finished"):
                await events.wait(10, "speech", state=state, utterance=utterance)
            await events.wait_idle(10)
            refused = await http.post("/streams/demo/speech", content=b"no audio")
            assert refused.status_code == 422 and "cannot be decoded" in refused.json()["detail"]
            assert (await http.post("/streams/demo/speech", content=b"")).status_code == 422


async def test_a_worker_that_is_lost_is_said_so(serve, opener):
    async with serve() as http:
        await until_ready(http)
        async with listening(str(http.base_url)) as events:
            utterance = (await http.post("/streams/demo/speech", content=speech(500))).json()["utterance"]
            await events.wait(10, "speech", state="started", utterance=utterance)
            opener.worker.die()
            await events.wait(10, "worker", state="lost")
            failed = await events.wait(10, "speech", state="failed", utterance=utterance)
            assert failed.data["detail"]
            response = await http.post("/streams/demo/speech", content=speech(10))
            assert response.status_code == 503 and int(response.headers["retry-after"]) >= 1
            assert (await http.get("/readyz")).status_code == 503
            opener.worker.start()
            await until_ready(http)
            assert (await http.post("/streams/demo/speech", content=speech(10))).status_code == 202


async def test_streams_are_put_on_air_and_taken_off(serve):
    async with serve(max_streams=2) as http:
        await until_ready(http)
        assert (await http.post("/streams", json={"name": "a/b"})).status_code == 400
        assert (await http.post("/streams", json={"name": "big", "width": 640})).status_code == 400
        assert (await http.post("/streams", json={"name": "x", "avatar": "nobody"})).status_code == 404
        made = await http.post("/streams", json={"name": "second"})
        assert made.status_code == 201 and made.json()["state"] in ("preparing", "idle")
        third = await http.post("/streams", json={"name": "third"})
        assert third.status_code == 429 and third.headers["retry-after"]
        async with listening(str(http.base_url), "second") as events:
            assert events.states()
            assert (await http.delete("/streams/second")).status_code == 204
        assert (await http.get("/streams/second")).status_code == 404


async def test_before_the_worker_has_come_it_says_what_is_missing(serve, opener):
    opener.started = False
    async with serve() as http:
        assert (await http.get("/healthz")).status_code == 200
        assert "demo" in (await http.get("/readyz")).json()["detail"]
        assert (await http.post("/streams", json={"name": "early"})).status_code == 503
        assert (await http.get("/")).status_code == 200
        opener.worker.start()
        await until_ready(http)


async def test_a_server_that_ends_lets_its_viewers_go(serve):
    async with player() as peer:
        async with serve() as http:
            await until_ready(http)
            created = await http.post("/whep/demo", content=await offer_of(peer), headers=SDP)
            await peer.connection.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
            await until(lambda: len(peer.pictures) > 3, 20, "pictures")
        await until(lambda: peer.connection.connectionState in ("closed", "failed"), 20, "the session's end")
