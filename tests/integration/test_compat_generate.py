"""Films and one-shot streams of chunks over a real socket, above a fake live layer."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.clients.waiting import until
from tests.contract.event_wire import Listener, assert_event_stream
from tests.fake_live import FakeRegistry
from tests.fake_recordings import FakeRecorder
from tests.integration.http_server import STALL_S, serving, until_answer
from whep_server.errors import TooMany, WorkerLost
from whep_server.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("live")]

FILES = {"audio_file": ("speech.wav", b"RIFF speech", "audio/wav")}
PROCESSING = {"status": "processing"}


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
    """What is rendered in a test that makes it."""
    shared.recorder = FakeRecorder(chunks=(b"one ", b"two ", b"three"))
    return shared


async def queue(http: httpx.AsyncClient, content: bytes = b"RIFF speech", **query: str) -> str:
    """A job's id."""
    files = {"audio_file": ("speech.wav", content, "audio/wav")}
    answer = await http.post("/generate", params={"avatar_id": "nova", **query}, files=files)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"status", "request_id", "avatar_id", "message"}
    assert (answer.json()["status"], answer.json()["avatar_id"]) == ("queued", "nova")
    assert re.fullmatch("gen_[0-9a-f]{8}", answer.json()["request_id"])
    return str(answer.json()["request_id"])


async def result(http: httpx.AsyncClient, job: str) -> dict[str, Any]:
    done = await until_answer(http, f"/generate/{job}/status", lambda answer: answer.json() != PROCESSING)
    return dict(done.json())


async def test_a_film_is_made_of_pieces_and_fetched_whole_or_in_parts(http, live, settings):
    job = await queue(http)
    done = {"status": "completed", "result": {"success": True, "output_path": f"chunks/{job}/{job}.mp4"}}
    assert await result(http, job) == done
    (asked,) = live.recorder.asked
    assert (asked["avatar"], asked["chunk_frames"], asked["whole"]) == ("nova", 50, True)
    assert (asked["video"].fps, asked["video"].width) == (25, 1280)  # type: ignore[attr-defined]
    url = f"/generate/{job}/download"
    for answer, content in ((await http.get(url), b"one two three"), (await http.head(url), b"")):
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"] == f'attachment; filename="{job}.mp4"'
    part = await http.get(url, headers={"Range": "bytes=4-6"})
    assert (part.status_code, part.content) == (206, b"two")
    assert [path.name for path in (settings.cache / "chunks" / job).iterdir()] == [f"{job}.mp4"]


async def test_a_film_in_the_making_is_processing_and_cannot_be_fetched(http, live):
    live.recorder.complete = False
    before = (await http.get("/stats")).json()
    job = await queue(http)
    assert (await http.get(f"/generate/{job}/status")).json() == PROCESSING
    early = await http.get(f"/generate/{job}/download")
    assert (early.status_code, early.json()) == (400, {"detail": "Generation not completed"})
    during = (await http.get("/stats")).json()
    assert during["active_requests"] == 1 and during["total_requests"] == before["total_requests"] + 1
    live.recorder.made[0].finish()
    assert (await result(http, job))["result"]["success"]
    assert (await http.get("/stats")).json()["active_requests"] == 0


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("holiday", "holiday.mp4"),
        ("holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "_.._etc_passwd.mp4"),
        ("/tmp/a b\0c", "_tmp_a_b_c.mp4"),
        (".hidden", "hidden.mp4"),
        ('quo"te', "quo_te.mp4"),
        ("x" * 4000, "x" * 100 + ".mp4"),
        ("..", None),
        ("", None),
    ],
)
async def test_a_film_may_be_named_and_the_name_is_no_path(http, asked, kept):
    job = await queue(http, output_name=asked)
    name = kept or f"{job}.mp4"
    assert (await result(http, job))["result"] == {"success": True, "output_path": f"chunks/{job}/{name}"}
    film = await http.get(f"/generate/{job}/download")
    assert film.content == b"one two three"
    assert film.headers["content-disposition"] == f'attachment; filename="{name}"'


async def test_a_film_is_not_shown_as_chunks_whatever_its_name(http):
    job = await queue(http, output_name="chunk_0000")
    assert (await result(http, job))["result"]["success"]
    assert (await http.get(f"/player/{job}")).status_code == 404


@pytest.mark.parametrize("content", [b"junk", b""])
async def test_what_is_no_speech_is_a_completed_failure(http, content):
    job = await queue(http, content)
    done = await result(http, job)
    assert (done["status"], done["result"].keys()) == ("completed", {"success", "error"})
    assert done["result"]["success"] is False
    failed = await http.get(f"/generate/{job}/download")
    assert (failed.status_code, failed.json()) == (500, {"detail": done["result"]["error"]})


async def test_trouble_after_some_pieces_leaves_no_film(http, live, caplog):
    for fault, told in (WorkerLost("gone"), "gone"), (RuntimeError("oh"), "Internal Server Error"):
        live.recorder.fault = fault
        job = await queue(http)
        assert (await result(http, job))["result"] == {"success": False, "error": told}
        assert ("a film could not be made" in caplog.text) == isinstance(fault, RuntimeError)


async def test_jobs_that_cannot_be(http, live):
    async def refusal(status: int, **request: Any) -> Any:
        answer = await http.post("/generate", **request)
        assert answer.status_code == status, answer.text
        assert answer.json().keys() == {"detail"}
        return answer.json()["detail"]

    nobody = {"avatar_id": "nobody"}
    assert await refusal(404, params=nobody, files=FILES) == "Avatar 'nobody' not found"
    assert (await refusal(422, files=FILES))[0]["loc"] == ["query", "avatar_id"]
    assert (await refusal(422, params={"avatar_id": "nova"}))[0]["loc"] == ["body", "audio_file"]
    assert (await refusal(422, params={"avatar_id": "nova", "fps": "0"}, files=FILES))[0]["loc"] == ["query", "fps"]
    await refusal(413, params={"avatar_id": "nova"}, files={"audio_file": bytes(70_000)})
    live.recorder.refusal = TooMany("16 recordings are being made already")
    await refusal(429, params={"avatar_id": "nova"}, files=FILES)
    assert (await http.get("/stats")).json()["active_requests"] == 0


async def test_jobs_that_never_were(http):
    for path in ("/generate/gen_00000000/status", "/generate/gen_00000000/download", "/generate/..%2f/download"):
        answer = await http.get(path)
        assert answer.status_code == 404 and answer.json().keys() == {"detail"}


async def test_scalars_may_come_in_the_form_in_any_order(http, live):
    content = (
        b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="a"\r\n\r\nRIFF\r\n'
        b'--x\r\nContent-Disposition: form-data; name="fps"\r\n\r\n12\r\n'
        b'--x\r\nContent-Disposition: form-data; name="avatar_id"\r\n\r\nnova\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await http.post("/generate", content=content, headers=headers)).status_code == 200
    assert live.recorder.heard == [b"RIFF"]
    assert live.recorder.asked[0]["chunk_frames"] == 20, "10 pictures a second"


async def test_old_films_are_gone_and_their_jobs_forgotten(live, settings):
    async with serving(settings.model_copy(update={"chunk_ttl_s": 0.2}), live.open) as http:
        job = await queue(http)
        await until_answer(http, f"/generate/{job}/download", lambda answer: answer.status_code == 404)
        assert (await result(http, job))["result"]["success"], "known, as nobody has asked for anything since"
        await queue(http)
        assert (await http.get(f"/generate/{job}/status")).status_code == 404


def streamed(http: httpx.AsyncClient, content: bytes = b"RIFF speech", **query: str) -> Any:
    files = {"audio_file": ("speech.wav", content, "audio/wav")}
    return http.stream("POST", "/generate/stream", params={"avatar_id": "nova", **query}, files=files)


async def test_the_bytes_of_a_response_that_announces_its_chunks(http, live):
    async with streamed(http, chunk_duration="1") as response:
        assert_event_stream(response)
        listener = Listener(response, 10)
        await listener.until_closed()
    (asked,) = live.recorder.asked
    assert (asked["chunk_frames"], asked["whole"], asked["video"].fps) == (15, False, 15)  # type: ignore[attr-defined]
    request = listener.events[0].message["url"].split("/")[2]
    assert re.fullmatch("nova_req_[0-9a-f]{8}", request)
    chunks = "".join(
        f"id: {request}:{index}\n"
        f'data: {{"event":"chunk","index":{index},"url":"/chunks/{request}/chunk_000{index}.mp4",'
        f'"total_chunks":3,"duration":{25 / 15},"creation_time":0.01}}\n\n'
        for index in range(3)
    )
    assert bytes(listener.raw).decode() == (
        chunks + f'id: {request}:3\ndata: {{"event":"complete","total_chunks":3}}\n\n'
    )
    assert (await http.get(f"/chunks/{request}/chunk_0002.mp4")).content == b"three"


async def test_trouble_comes_as_an_event(http):
    for avatar, content, told in (
        ("nobody\ndata: x", b"RIFF", "Avatar 'nobody\\ndata: x' not found"),
        ("nova", b"junk", "not audio: no known format"),
    ):
        async with streamed(http, content, avatar_id=avatar) as response:
            assert_event_stream(response)
            listener = Listener(response, 10)
            await listener.until_closed()
        assert [event.message for event in listener.events] == [{"event": "error", "message": told}]


async def test_who_goes_away_ends_the_making(http, live):
    live.recorder.complete = False
    before = (await http.get("/stats")).json()["total_requests"]
    async with streamed(http) as response:
        await Listener(response, 10).until(2)
        assert (await http.get("/stats")).json()["active_requests"] == 1
    await until(lambda: live.recorder.made[0].closed, 10, "the recording closed")
    idle = await until_answer(http, "/stats", lambda answer: answer.json()["active_requests"] == 0)
    assert idle.json()["total_requests"] == before + 1


async def test_what_a_stream_needs(http, live):
    async def refused(**request: Any) -> tuple[int, Any]:
        answer = await http.post("/generate/stream", **request)
        return answer.status_code, answer.json()["detail"]

    status, detail = await refused(files=FILES)
    assert (status, detail[0]["loc"]) == (422, ["query", "avatar_id"])
    status, detail = await refused(params={"avatar_id": "nova"})
    assert (status, detail[0]["loc"]) == (422, ["body", "audio_file"])
    live.recorder.refusal = TooMany("16 recordings are being made already")
    assert await refused(params={"avatar_id": "nova"}, files=FILES) == (429, "16 recordings are being made already")
