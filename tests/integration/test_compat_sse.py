"""Sessions of chunks over a real socket, above a fake live layer: exact bytes, exact order, and who is told what."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.contract.event_wire import Listener, assert_event_stream, listening
from tests.fake_live import FakeRegistry
from tests.fake_recordings import FakeRecorder
from tests.integration.http_server import STALL_S, serving, until_answer
from whep_server.errors import TooMany, Unavailable, WorkerLost
from whep_server.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("live")]

FILES = {"audio_file": ("speech.wav", b"RIFF speech", "audio/wav")}
CHUNKS = (b"first" * 300, b"second" * 300)
REQUEST = re.compile(r"nova_req_[0-9a-f]{8}")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(cache=tmp_path_factory.mktemp("cache"), max_upload_bytes=64 * 1024, upload_stall_s=STALL_S)


@pytest.fixture(scope="module")
def shared() -> FakeRegistry:
    return FakeRegistry()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(shared: FakeRegistry, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, shared.open) as client:
        yield client


@pytest.fixture
def live(shared: FakeRegistry) -> FakeRegistry:
    """What sessions record that a test makes."""
    shared.recorder = FakeRecorder(chunks=CHUNKS)
    return shared


@dataclass(frozen=True, slots=True)
class Session:
    """One session as its clients see it."""

    http: httpx.AsyncClient
    id: str

    @property
    def path(self) -> str:
        return f"/sessions/{self.id}"

    async def post(self, **request: Any) -> httpx.Response:
        return await self.http.post(f"{self.path}/stream", **({"files": FILES} | request))

    async def speak(self) -> str:
        """The request's id."""
        answer = await self.post()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def free(self) -> None:
        """Wait until it can speak again: all chunks are made."""
        await until_answer(self.http, f"{self.path}/status", lambda answer: answer.json()["active_stream"] is None)

    async def status(self) -> dict[str, Any]:
        return dict((await self.http.get(f"{self.path}/status")).json())

    @asynccontextmanager
    async def listening(self, last: str | None = None) -> AsyncIterator[Listener]:
        headers = {} if last is None else {"Last-Event-ID": last}
        async with listening(self.http, f"{self.path}/events", 10, headers) as listener:
            yield listener

    async def heard(self, last: str | None = None) -> bytes:
        """All that one listener is told."""
        async with self.listening(last) as listener:
            await listener.until_closed()
        return bytes(listener.raw)


async def create(http: httpx.AsyncClient, **query: str | float) -> Session:
    made = await http.post("/sessions/create", params={"avatar_id": "nova", **query})
    assert made.status_code == 200, made.text
    return Session(http, made.json()["session_id"])


def chunk_bytes(request: str, index: int, duration: str, total: int = 2) -> bytes:
    url = f"/chunks/{request}/chunk_{index:04d}.mp4"
    return (
        f'id: {request}:{index}\ndata: {{"event":"chunk","index":{index},"url":"{url}","total_chunks":{total},'
        f'"duration":{duration},"creation_time":0.01}}\n\n'
    ).encode()


def utterance_bytes(request: str, duration: str = "1.0") -> bytes:
    end = f'id: {request}:2\ndata: {{"event":"complete","total_chunks":2}}\n\n'.encode()
    return chunk_bytes(request, 0, duration) + chunk_bytes(request, 1, duration) + end


def error_bytes(request: str, message: str, number: int = 0) -> bytes:
    return f'id: {request}:{number}\ndata: {{"event":"error","message":"{message}"}}\n\n'.encode()


async def test_a_session_is_a_stream_that_nobody_is_shown(http, live):
    made = await http.post("/sessions/create", params={"avatar_id": "nova", "user_id": "me", "fps": "24"})
    body = made.json()
    assert re.fullmatch("[A-Za-z0-9_-]{22}", body["session_id"])
    assert body == {
        "session_id": body["session_id"],
        "player_url": f"/player/session/{body['session_id']}",
        "avatar_id": "nova",
        "user_id": "me",
        "config": {"batch_size": 2, "fps": 25, "chunk_duration": 2},
        "expires_in_seconds": 3600,
    }
    stream = live.stream(body["session_id"])
    assert (stream.format.fps, stream.format.width, stream.listed, stream.drawn_fps) == (25, 1280, False, 0)


@pytest.mark.parametrize(
    ("query", "frames"),
    [({}, 30), ({"fps": 25, "chunk_duration": 1}, 25), ({"chunk_duration": 0.5}, 7), ({"chunk_duration": 0}, 7)],
)
async def test_chunks_have_as_many_pictures_as_fit(http, live, query, frames):
    await (await create(http, **query)).speak()
    assert live.recorder.asked == [{"chunk_frames": frames}]
    assert live.recorder.heard == [b"RIFF speech"]


async def test_the_bytes_of_an_utterance(http):
    session = await create(http, fps=25)
    async with session.listening() as listener:
        assert_event_stream(listener.response)
        assert listener.response.headers["connection"] == "keep-alive"
        answer = await session.post(params={"trailing_silence": "2.0"}, data={"turn_id": "7"})
        request = answer.json()["request_id"]
        assert REQUEST.fullmatch(request)
        assert answer.json() == {
            "request_id": request,
            "session_id": session.id,
            "status": "streaming",
            "message": "Chunks are announced on the session's events as they are made",
        }
        await listener.until_closed()
    assert bytes(listener.raw) == utterance_bytes(request)


async def test_a_chunk_can_be_fetched_when_it_is_announced_and_the_session_is_free_when_it_is_over(http, live):
    live.recorder.complete = False
    session = await create(http)
    async with session.listening() as listener:
        request = await session.speak()
        (first,) = await listener.until(1)
        assert (await http.get(first.message["url"])).content == CHUNKS[0]
        assert (await session.status())["active_stream"] == request
        live.recorder.made[0].finish()
        await listener.until_closed()
        assert (await session.status())["active_stream"] is None
    assert live.recorder.made[0].closed


async def test_one_request_at_a_time(http, live):
    live.recorder.complete = False
    session = await create(http)
    request = await session.speak()
    busy = await session.post()
    assert (busy.status_code, busy.json()) == (409, {"detail": f"Session already streaming: {request}"})
    listed = {"session_id": session.id, "user_id": None, "avatar_id": "nova", "active_stream": request}
    stats = (await http.get("/sessions/stats")).json()
    assert stats["total_sessions"] == len(stats["sessions"]) and stats["active_streams"] == 1
    assert stats["sessions"][-1].items() >= listed.items()
    speaking = (await http.get("/sessions/live")).json()
    assert speaking["total_live"] == 1 and speaking["webrtc_streams"] == speaking["hls_streams"] == []
    config = {"batch_size": 2, "fps": 15, "chunk_duration": 2}
    assert speaking["session_streams"][0].items() >= (listed | config).items()
    counted = (await http.get("/stats")).json()
    assert counted["active_requests"] == 1
    live.recorder.made[0].finish()
    assert (await session.heard()).endswith(b'{"event":"complete","total_chunks":2}\n\n')
    assert (await http.get("/sessions/live")).json()["total_live"] == 0
    assert (await http.get("/stats")).json()["active_requests"] == 0
    await session.speak()
    assert (await http.get("/stats")).json()["total_requests"] == counted["total_requests"] + 1


async def test_everybody_hears_everything_and_what_nobody_heard_waits(http):
    session = await create(http, fps=25)
    async with session.listening() as one, session.listening() as other:
        first = await session.speak()
        for listener in (one, other):
            await listener.until_closed()
            assert bytes(listener.raw) == utterance_bytes(first)
    second = await session.speak()
    await session.free()
    third = await session.speak()
    assert await session.heard() == utterance_bytes(second)
    assert await session.heard(f"{second}:2") == utterance_bytes(third)


async def test_who_comes_back_hears_what_it_missed(http, live):
    live.recorder.complete = False
    session = await create(http, fps=25)
    async with session.listening() as listener:
        request = await session.speak()
        (first,) = await listener.until(1)
    async with session.listening(first.id) as listener:
        live.recorder.made[0].finish()
        await listener.until_closed()
    assert bytes(listener.raw) == utterance_bytes(request).removeprefix(chunk_bytes(request, 0, "1.0"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [(WorkerLost("the worker is gone"), "the worker is gone"), (RuntimeError("oh"), "Internal Server Error")],
)
async def test_trouble_in_the_making_is_told_after_the_chunks_that_were_made(http, live, caplog, fault, message):
    live.recorder.fault = fault
    session = await create(http, fps=25)
    request = await session.speak()
    chunks = chunk_bytes(request, 0, "1.0") + chunk_bytes(request, 1, "1.0")
    assert await session.heard() == chunks + error_bytes(request, message, 2)
    assert ("could not be given out" in caplog.text) == isinstance(fault, RuntimeError)
    live.recorder.fault = None
    assert await session.heard(f"{await session.speak()}:1")


async def test_what_is_no_speech_is_an_event_and_the_session_lives_on(http):
    session = await create(http, fps=25)
    request = (await session.post(files={"audio_file": ("a", b"junk")})).json()["request_id"]
    assert await session.heard() == error_bytes(request, "not audio: no known format")
    request = await session.speak()
    assert await session.heard() == utterance_bytes(request)


async def test_a_full_disk_is_an_event(http, settings, caplog):
    session = await create(http)
    folder, aside = settings.cache / "chunks", settings.cache / "aside"
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    await asyncio.to_thread(folder.rename, aside)
    await asyncio.to_thread(folder.write_bytes, b"in the way of any chunk")
    request = await session.speak()
    heard = await session.heard()
    await asyncio.to_thread(folder.unlink)
    await asyncio.to_thread(aside.rename, folder)
    assert heard == error_bytes(request, "cannot be stored: Not a directory")
    assert "could not be given out" in caplog.text
    assert (await session.status())["active_stream"] is None


async def test_what_is_refused_at_once_leaves_nothing_behind(http, live):
    session = await create(http, fps=25)
    wrong = await session.post(files={"audio": ("a.wav", b"RIFF")})
    assert wrong.status_code == 422 and wrong.json()["detail"][0]["loc"] == ["body", "audio_file"]
    assert (await session.post(files={"audio_file": ("a.wav", bytes(70_000))})).status_code == 413
    live.recorder.refusal = TooMany("16 recordings are being made already")
    many = await session.post()
    assert (many.status_code, many.json()) == (429, {"detail": "16 recordings are being made already"})
    live.recorder.refusal = None
    assert (await session.status())["active_stream"] is None
    request = await session.speak()
    assert await session.heard() == utterance_bytes(request)


async def test_a_session_that_ends_sends_its_listeners_away(http):
    session = await create(http)
    async with session.listening() as listener:
        ended = await http.delete(session.path)
        assert (ended.status_code, ended.json()) == (200, {"status": "deleted", "session_id": session.id})
        assert await listener.until_closed() == []
    for answer in (await http.get(f"{session.path}/events"), await http.delete(session.path), await session.post()):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Session not found or expired"})


async def test_a_session_that_ends_while_it_speaks_tells_so(http, live):
    live.recorder.complete = False
    session = await create(http)
    async with session.listening() as listener:
        request = await session.speak()
        await listener.until(2)
        await http.delete(f"/streams/{session.id}")  # a session is a stream
        live.recorder.made[0].finish(Unavailable("the stream was taken off the air"))
        await listener.until_closed()
    assert bytes(listener.raw).endswith(error_bytes(request, "the stream was taken off the air", 2))


async def test_a_server_that_ends_sends_listeners_away_with_an_error_where_they_are_in_the_middle(live, settings):
    live.recorder.complete = False
    async with httpx.AsyncClient(trust_env=False, timeout=10) as browser:
        async with serving(settings, live.open) as server:
            browser.base_url = server.base_url
            idle, busy = await create(browser), await create(browser)
            requests = [browser.build_request("GET", f"{each.path}/events") for each in (idle, busy)]
            waiting, hearing = [Listener(await browser.send(each, stream=True), 10) for each in requests]
            await busy.speak()
            await hearing.until(2)
        assert await waiting.until_closed() == []
        await hearing.until_closed()
    end = b'data: {"event":"error","message":"the server is being stopped"}\n\n'
    assert hearing.raw.endswith(b"\n\n" + end)


async def test_a_listener_is_use(http):
    session = await create(http)
    async with session.listening():
        assert (await session.status())["idle_seconds"] == 0
    idle = await until_answer(http, f"{session.path}/status", lambda answer: answer.json()["idle_seconds"] > 0)
    status = idle.json()
    assert status["created_at"] < status["last_activity"] and status["age_seconds"] > status["idle_seconds"]


async def test_a_look_at_the_events_opens_nothing(http):
    session = await create(http)
    assert_event_stream(await http.head(f"{session.path}/events"))
    assert (await http.head("/sessions/nobody/events")).status_code == 404


async def test_chunk_files_whole_and_in_parts(http):
    session = await create(http)
    url = f"/chunks/{await session.speak()}/chunk_0000.mp4"
    await session.heard()
    for answer, content in ((await http.get(url), CHUNKS[0]), (await http.head(url), b"")):
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"] == "inline"
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert answer.headers["content-length"] == "1500"
    part = await http.get(url, headers={"Range": "bytes=2-6"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"rstfi", "bytes 2-6/1500")
    assert (await http.get(url, headers={"Range": "bytes=1500-"})).status_code == 416


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Avatar-5a58.v2_req_01234567/chunk_0000.mp4", 404),
        ("nova_req_01234567/chunk_12345.mp4", 404),
        ("nova_webrtc_01234567/chunk_0000.mp4", 404),
        ("nova_req_0123456/chunk_0000.mp4", 400),
        ("nova/chunk_0000.mp4", 400),
        ("..%2f_req_01234567/chunk_0000.mp4", 404),
        ("._req_01234567/chunk_0000.mp4", 400),
        ("nova_req_01234567/chunk_0.mp4", 400),
        ("nova_req_01234567/chunk_0000.mp4%0a", 400),
        ("nova_req_01234567/..%2f..%2fsecret", 404),
        ("nova_req_01234567/%00", 400),
    ],
)
async def test_names_of_chunks_are_never_paths(http, settings, path, status):
    await asyncio.to_thread((settings.cache / "secret").write_bytes, b"secret")
    answer = await http.get(f"/chunks/{path}")
    assert answer.status_code == status
    assert answer.json().keys() == {"detail"}


async def test_old_chunks_are_gone_and_so_is_what_is_told_of_them(live, settings):
    async with serving(settings.model_copy(update={"chunk_ttl_s": 0.2}), live.open) as http:
        session = await create(http)
        url = f"/chunks/{await session.speak()}/chunk_0000.mp4"
        await session.free()
        await until_answer(http, url, lambda answer: answer.status_code == 404)
        async with session.listening() as listener:
            request = await session.speak()
            await listener.until_closed()
        assert {event.id for event in listener.events} == {f"{request}:{number}" for number in range(3)}


async def test_paths_are_told_as_clients_see_them(live, settings):
    async with serving(settings.model_copy(update={"public_base_path": "/avatar"}), live.open) as http:
        made = await http.post("/sessions/create", params={"avatar_id": "nova"})
        assert made.json()["player_url"].startswith("/avatar/player/session/")
        session = Session(http, made.json()["session_id"])
        await session.speak()
        assert b'"url":"/avatar/chunks/nova_req_' in await session.heard()
