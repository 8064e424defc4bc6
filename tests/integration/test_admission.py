"""No more streams speak at one time than may, whichever way speech comes; over HTTP, only the worker is a fake."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection

from avatar.messages import AvatarInfo
from tests.aiortc_player import player
from tests.clients.pcm_socket import PcmSocket, pcm_socket
from tests.clients.scripted_speech import Reply, ScriptedSpeech, scripted_speech
from tests.fakes import NOVA, SIZE, FakeOpener, speech
from tests.integration.http_server import assert_problem, until_answer
from tests.integration.joining import SDP, live_server, offer_of
from tests.unit.test_scrape import at, read
from whep_server import __version__
from whep_server.live.capacity import Capacity, save_capacity, usable_cores

LIMIT = 2
LONG = 2500
"""Pictures: 100 s."""
PCM = "/streams/{}/pcm?sample_rate=24000"


@dataclass
class House:
    """Streams ``demo``, ``two`` and ``three``, of which two may speak."""

    http: httpx.AsyncClient
    opener: FakeOpener
    texts: ScriptedSpeech

    async def say(self, stream: str, frames: int = LONG) -> httpx.Response:
        return await self.http.post(f"/streams/{stream}/speech", content=speech(frames))

    async def begin(self, stream: str, frames: int = LONG) -> None:
        answer = await self.say(stream, frames)
        assert answer.status_code == 202, answer.text

    async def until_taken(self, stream: str) -> None:
        """As a client does that comes again."""
        async with asyncio.timeout(20):
            while (answer := await self.say(stream)).status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
        assert answer.status_code == 202, answer.text

    async def publish(self, stream: str, query: str = "") -> httpx.Response:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver(AudioStreamTrack(), direction="sendonly")
        try:
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            return await self.http.post(f"/whip/{stream}{query}", content=offer, headers=SDP)
        finally:
            await connection.close()

    async def session(self, family: str) -> str:
        made = await self.http.post(f"{family}/create", params={"avatar_id": "nova", "fps": 25})
        assert made.status_code == 200, made.text
        return f"{family}/{made.json()['session_id']}"

    async def measured(self) -> dict[str, float]:
        samples = read((await self.http.get("/metrics")).content)
        names = ("speaking_streams", "max_speaking_streams", "speech_refused_total")
        return {name: at(samples, name, **({} if "total" in name else {"engine": "viseme"})) for name in names}


@asynccontextmanager
async def house(tmp_path, opener: FakeOpener | None = None, **changes: object) -> AsyncIterator[House]:
    opener = opener or FakeOpener()
    async with scripted_speech() as texts:
        given = {"cache": tmp_path, "max_speaking": LIMIT, "tts_url": texts.url, **changes}
        async with live_server(opener, **given) as http:
            for name in ("two", "three"):
                assert (await http.post("/streams", json={"name": name})).status_code == 201
            await until_answer(http, "/readyz", lambda answer: answer.status_code == 200)
            yield House(http, opener, texts)


def refused(answer: httpx.Response) -> int:
    """When to come back, which the server knows: 100 s at the most."""
    problem = assert_problem(answer, 503)
    assert problem["title"] == "Too many speak" and f"no more than {LIMIT}" in str(problem["detail"])
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 101
    return seconds


async def test_a_stream_too_many_is_refused_every_way_in_and_those_that_speak_go_on(tmp_path):
    async with house(tmp_path) as all_streams:
        http, texts = all_streams.http, all_streams.texts
        await all_streams.begin("demo")
        await all_streams.begin("two", 2 * LONG)
        assert refused(await all_streams.say("three")) > 5, "the first of them ends in 100 s"
        refused(await http.post("/streams/three/speech", json={"text": "Good morning."}))
        assert texts.asked == [], "what is not spoken is not paid for"
        refused(await http.post(PCM.format("three"), content=bytes(9600)))
        refused(await all_streams.publish("three"))
        async with pcm_socket(str(http.base_url), "three") as socket:
            await socket.say("begin", sample_rate=24_000)
            assert await socket.error() == "too-many-speak"
        live = await all_streams.session("/webrtc/sessions")
        answer = await http.post(f"{live}/stream", files={"audio_file": ("a.wav", speech(LONG))})
        assert answer.status_code == 503 and answer.json().keys() == {"detail"} and answer.headers["retry-after"]
        assert await all_streams.measured() == {
            "speaking_streams": LIMIT,
            "max_speaking_streams": LIMIT,
            "speech_refused_total": 6,
        }

        # who speaks may say more; who is only listened to, or recorded while nobody watches, takes nobody's place
        await all_streams.begin("demo")
        texts.reply = Reply([bytes(24_000)])
        assert (await http.post("/streams/demo/speech", json={"text": "And more."})).status_code == 202
        assert (await all_streams.publish("three", "?interrupt=listen")).status_code == 201
        chunks = await all_streams.session("/sessions")
        answer = await http.post(f"{chunks}/stream", files={"audio_file": ("a.wav", speech(50))})
        assert answer.status_code == 200, answer.text
        assert (await all_streams.measured())["speaking_streams"] == LIMIT


async def test_a_recording_that_is_watched_needs_a_place(tmp_path):
    async with house(tmp_path) as all_streams, player() as peer:
        session = await all_streams.session("/sessions")
        offer = await offer_of(peer)
        name = session.rpartition("/")[2]
        assert (await all_streams.http.post(f"/whep/{name}", content=offer, headers=SDP)).status_code == 201
        await all_streams.begin("two")
        await all_streams.begin("three")
        answer = await all_streams.http.post(f"{session}/stream", files={"audio_file": ("a.wav", speech(50))})
        assert answer.status_code == 503 and f"no more than {LIMIT}" in answer.json()["detail"]


async def test_of_two_that_begin_at_once_one_has_the_last_place(tmp_path):
    async with house(tmp_path) as all_streams:
        await all_streams.begin("demo")
        answers = await asyncio.gather(all_streams.say("two"), all_streams.say("three"))
        assert sorted(answer.status_code for answer in answers) == [202, 503]


async def end_by_itself(all_streams: House, _: PcmSocket) -> None:
    """``two`` has spoken its short sentence."""


async def interrupt(all_streams: House, _: PcmSocket) -> None:
    assert (await all_streams.http.post("/streams/demo/interrupt")).status_code == 200


async def take_off_air(all_streams: House, _: PcmSocket) -> None:
    assert (await all_streams.http.delete("/streams/demo")).status_code == 204


async def lose_the_worker(all_streams: House, _: PcmSocket) -> None:
    all_streams.opener.worker.die()
    all_streams.opener.worker.start()


async def cancel(_: House, socket: PcmSocket) -> None:
    await socket.say("cancel")


@pytest.mark.parametrize("end", [end_by_itself, interrupt, take_off_air, lose_the_worker, cancel])
async def test_a_place_is_free_again_however_speech_ends(tmp_path, end):
    async with house(tmp_path) as all_streams, pcm_socket(str(all_streams.http.base_url), "two") as socket:
        await all_streams.begin("demo", 10 if end is end_by_itself else LONG)
        await socket.begin()  # has its place before the first sample has come
        if end is not end_by_itself:
            refused(await all_streams.say("three"))
        await end(all_streams, socket)
        await all_streams.until_taken("three")


async def test_a_publisher_has_a_place_as_long_as_it_is_there(tmp_path):
    async with house(tmp_path, max_speaking=1) as all_streams:
        published = await all_streams.publish("two")
        assert published.status_code == 201, published.text
        answer = await all_streams.say("three")
        assert_problem(answer, 503)
        assert answer.headers["retry-after"] == "5", "nobody knows for how long it will speak"
        assert (await all_streams.http.delete(published.headers["location"])).status_code == 200
        await all_streams.until_taken("three")


@pytest.mark.parametrize(("fps", "most"), [(25, 1), (30, 0)])
async def test_what_was_measured_of_such_streams_is_the_limit(tmp_path, caplog, fps, most):
    save_capacity(tmp_path, Capacity(1, 1, *SIZE, fps, usable_cores(), __version__, "this one"))
    async with house(tmp_path, max_speaking=0) as all_streams:
        await all_streams.begin("demo")
        assert (await all_streams.say("two")).status_code == (503 if most else 202)
        assert (await all_streams.measured())["max_speaking_streams"] == most
    assert caplog.text.count("limits nothing") == (not most)


async def test_streams_of_two_engines_share_the_machine_by_what_each_carries(tmp_path, caplog):
    """Two drawn ones, as measured, or one filmed one, by the speed that its engine found at its start."""
    opener = FakeOpener()
    opener.avatars, opener.speeds = [NOVA, AvatarInfo("film", "Film", "musetalk", [SIZE])], {"musetalk": 40.0}
    save_capacity(tmp_path, Capacity(2, 2, *SIZE, 25, usable_cores(), __version__, "this one"))
    async with house(tmp_path, opener, max_speaking=0) as all_streams:
        made = await all_streams.http.post("/streams", json={"name": "filmed", "avatar": "film"})
        assert made.status_code == 201, made.text
        await all_streams.begin("demo")
        answer = await all_streams.say("filmed")
        assert answer.status_code == 503 and "no more than 1" in answer.text and "other engines" in answer.text
        assert int(answer.headers["retry-after"]) > 5
        await all_streams.begin("two")
        assert refused(await all_streams.say("three")) > 5
        for name in ("demo", "two"):
            assert (await all_streams.http.post(f"/streams/{name}/interrupt")).status_code == 200
        await all_streams.until_taken("filmed")
        answer = await all_streams.say("three")
        assert answer.status_code == 503 and "other engines" in answer.text
        samples = read((await all_streams.http.get("/metrics")).content)
        assert [at(samples, "speaking_streams", engine=engine) for engine in ("viseme", "musetalk")] == [0, 1]
        assert [at(samples, "max_speaking_streams", engine=engine) for engine in ("viseme", "musetalk")] == [2, 1]
    assert caplog.text.count("bench capacity --avatar NAME") == 1
