"""Speech made into one file, and into chunks that the answer itself announces."""

import io
import re
import secrets
from typing import Any, Final

import av
import httpx
import pytest

from tests.contract.event_wire import ERROR, Listener, assert_event_stream, assert_utterance
from tests.contract.field_types import FILLED, GENERATE_ID, assert_invalid, assert_refused, assert_success, differences
from tests.contract.original_client import Client, asked_until
from tests.contract.short_speech import NOT_AUDIO, spoken

SECONDS: Final = 1.1
FPS: Final = 25
UNKNOWN: Final = "gen_00000000"
PROCESSING: Final = {"status": "processing"}
SUCCEEDED: Final = {"status": "completed", "result": {"success": True, "output_path": FILLED}}


async def queue(client: Client, content: bytes, **query: str) -> str:
    """A job's id."""
    answer = await client.upload("/generate", content, query={"avatar_id": client.target.avatar, **query})
    shape = {"status": "queued", "request_id": GENERATE_ID, "avatar_id": client.target.avatar, "message": FILLED}
    assert_success(answer, shape)
    return str(answer.json()["request_id"])


async def result(client: Client, job: str) -> dict[str, Any]:
    """What the status says when the job is done."""
    path = f"/generate/{job}/status"
    answer = await asked_until(
        lambda: client.http.get(path), lambda answer: answer.json() != PROCESSING, client.target.patience_s
    )
    done: dict[str, Any] = answer.raise_for_status().json()
    return done


def assert_film(answer: httpx.Response, *, least: int) -> None:
    """An attachment that shows so many pictures at least; the original loses the last."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("attachment")
    with av.open(io.BytesIO(answer.content)) as film:
        assert abs(film.streams.video[0].average_rate - FPS) < 1 and film.streams.audio
        assert least <= sum(1 for _ in film.decode(video=0)) <= int(SECONDS * FPS)
    with av.open(io.BytesIO(answer.content)) as film:
        heard = sum(frame.samples / frame.sample_rate for frame in film.decode(audio=0))
        assert abs(heard - SECONDS) < 0.1


async def test_a_named_film_is_made_and_fetched(client):
    before = (await client.http.get("/stats")).json()["total_requests"]
    name = f"contract_{secrets.token_hex(4)}"
    job = await queue(client, spoken(SECONDS), output_name=name)
    done = await result(client, job)
    assert not differences(done, SUCCEEDED) and name in done["result"]["output_path"], done
    assert_film(await client.http.get(f"/generate/{job}/download"), least=int(SECONDS * FPS) - 1)
    assert (await client.http.get("/stats")).json()["total_requests"] > before


@pytest.mark.improvement
async def test_a_film_without_a_name_can_be_fetched_and_is_whole(client):
    job = await queue(client, spoken(SECONDS))
    done = await result(client, job)
    assert not differences(done, SUCCEEDED) and "None" not in done["result"]["output_path"], done
    assert_film(await client.http.get(f"/generate/{job}/download"), least=int(SECONDS * FPS))


async def test_a_film_in_the_making_cannot_be_fetched(client):
    job = await queue(client, spoken(3))
    assert_success(await client.http.get(f"/generate/{job}/status"), PROCESSING)
    assert_refused(await client.http.get(f"/generate/{job}/download"), 400)
    await result(client, job)


async def test_speech_that_is_none_is_a_completed_failure(client):
    job = await queue(client, NOT_AUDIO)
    done = await result(client, job)
    assert not (found := differences(done, {"status": "completed", "result": {"success": False, "error": FILLED}})), (
        found
    )
    assert_refused(await client.http.get(f"/generate/{job}/download"), 500)


async def test_what_generate_needs(client):
    avatar = {"avatar_id": client.target.avatar}
    assert_refused(await client.upload("/generate", spoken(0.5), query={"avatar_id": "nobody_has_this_name"}), 404)
    assert_invalid(await client.upload("/generate", spoken(0.5)), "query", "avatar_id")
    assert_invalid(await client.http.post("/generate", params=avatar), "body", "audio_file")
    assert_invalid(await client.upload("/generate", spoken(0.5), query={**avatar, "fps": "fast"}), "query", "fps")


async def test_a_job_that_never_was(client):
    assert_refused(await client.http.get(f"/generate/{UNKNOWN}/status"), 404)
    fetched = await client.http.get(f"/generate/{UNKNOWN}/download")
    assert_refused(fetched, 404 if client.target.ours else 400)


@pytest.mark.improvement
async def test_scalars_may_come_in_the_form(client):
    form = {"avatar_id": client.target.avatar, "fps": "10"}
    job = await client.upload("/generate", spoken(0.5), form=form)
    assert_success(job, {"status": "queued", "request_id": GENERATE_ID, "avatar_id": client.target.avatar, ...: ...})
    assert not differences(await result(client, job.json()["request_id"]), SUCCEEDED)


async def stream(client: Client, content: bytes, **query: str | int) -> Listener:
    """All that ``/generate/stream`` answers."""
    files = {"audio_file": ("speech.wav", content, "audio/wav")}
    async with client.http.stream("POST", "/generate/stream", params=query, files=files) as response:
        listener = Listener(response, client.target.patience_s)
        await listener.until_closed()
    return listener


async def test_chunks_come_in_the_answer(client):
    listener = await stream(client, spoken(2.5), avatar_id=client.target.avatar)
    assert_event_stream(listener.response)
    request_id = listener.events[0].message["url"].split("/")[2]
    assert re.fullmatch(re.escape(client.target.avatar) + r"_req_[0-9a-f]{8}", request_id)
    chunks = assert_utterance(listener.events, request_id)
    assert [chunk["duration"] for chunk in chunks] == [2.0, 7 / 15]  # 15 pictures a second, 2 s each
    fetched = await client.http.get(chunks[0]["url"])
    assert fetched.status_code == 200 and fetched.headers["content-type"] == "video/mp4"


@pytest.mark.improvement
async def test_scalars_of_a_stream_may_come_in_the_form(client):
    files = {"audio_file": ("speech.wav", spoken(1), "audio/wav")}
    form = {"avatar_id": client.target.avatar, "fps": "10", "chunk_duration": "0.5"}
    async with client.http.stream("POST", "/generate/stream", data=form, files=files) as response:
        listener = Listener(response, client.target.patience_s)
        events = await listener.until_closed()
    assert [event.message.get("duration") for event in events] == [0.5, 0.5, None]


@pytest.mark.parametrize("avatar", ["nobody_has_this_name", None])
async def test_trouble_comes_as_an_event(client, avatar):
    content = spoken(0.5) if avatar else NOT_AUDIO
    listener = await stream(client, content, avatar_id=avatar or client.target.avatar)
    assert_event_stream(listener.response)
    assert [not differences(event.message, ERROR) for event in listener.events] == [True], listener.raw


async def test_what_a_stream_needs(client):
    assert_invalid(await client.upload("/generate/stream", spoken(0.5)), "query", "avatar_id")
    avatar = {"avatar_id": client.target.avatar}
    assert_invalid(await client.http.post("/generate/stream", params=avatar), "body", "audio_file")
