"""Jobs of making avatars over HTTP, above a maker that only pretends: begun, looked at, cancelled, refused."""

import asyncio

import httpx
import pytest

from tests.clients.waiting import until
from tests.fake_live import FakeRegistry
from tests.integration.http_server import assert_problem, serving, until_answer
from whep_server.live.preparations import KEPT
from whep_server.settings import Settings

FACE = {"video_file": ("me.mp4", b"a face", "video/mp4")}
JOBS = "/avatars/preparations"
MOST = Settings().max_preparations


async def begin(http: httpx.AsyncClient, name: str = "me", files: dict = FACE, **query: str) -> httpx.Response:
    """The answer to an order that is not waited for."""
    return await http.post("/avatars/prepare", params={"avatar_id": name, "wait": "false", **query}, files=files)


async def until_over(http: httpx.AsyncClient, location: str) -> dict:
    """What became of a job."""
    answer = await until_answer(http, location, lambda seen: seen.json()["completed_at"] is not None)
    return dict(answer.json())


def uploads(settings: Settings) -> list[str]:
    return [path.name for path in (settings.cache / "uploads").glob("*")]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(cache=tmp_path)


async def test_an_order_is_a_job_with_an_address(http, live, settings):
    live.maker.waits.clear()
    begun = await begin(http, engine="viseme")
    assert begun.status_code == 202, begun.text
    location, job = begun.headers["location"], begun.json()
    assert location == f"{JOBS}/{job['job']}" and job["avatar_id"] == "me"
    under_way = (await until_answer(http, location, lambda seen: seen.json()["state"] == "preparing")).json()
    assert (under_way["stage"], under_way["done"], under_way["error"]) == ("looking for the face", 0.5, None)
    assert under_way["submitted_at"] <= under_way["started_at"] <= under_way["updated_at"]
    assert under_way["completed_at"] is None and under_way["preview_url"] is None
    assert len(uploads(settings)) == 1, "its file is there as long as it is read"
    live.maker.waits.set()
    over = await until_over(http, location)
    assert (over["state"], over["done"], over["notes"], over["error"]) == ("ready", 1.0, ["a short video"], None)
    assert over["quality"]["notes"] == ["film it in daylight"]
    assert over["completed_at"] >= over["started_at"] and live.prepared == {"me": b"a face"}
    await until(lambda: not uploads(settings), 10, "its file gone")
    assert (await http.get(JOBS)).json() == {"preparations": [over]}
    assert (await http.head(location)).status_code == 200


async def test_for_one_that_is_there_nothing_is_begun(http, live):
    there = await begin(http, "nova")
    assert there.status_code == 200 and there.json()["status"] == "success" and "location" not in there.headers
    assert (await http.get(JOBS)).json() == {"preparations": []}
    kept = await begin(http, "nova", force_recreate="true")
    assert kept.status_code == 409 and list(kept.json()) == ["detail"]
    assert (await begin(http)).status_code == 202
    await until(lambda: live.prepared, 10, "made")
    assert (await begin(http)).status_code == 200


async def test_what_comes_with_it_is_handed_on(http, live):
    files = FACE | {"landmarks": ("me.json", b"[[1, 2]]", "application/json")}
    begun = await begin(http, files=files, engine="musetalk")
    assert (await until_over(http, begun.headers["location"]))["engine"] == "musetalk"
    assert live.maker.landmarks == {"me": b"[[1, 2]]"} and live.avatars[-1].engine == "musetalk"
    in_form = {"avatar_id": "other", "wait": "false", "engine": "viseme"}
    assert (await http.post("/avatars/prepare", data=in_form, files=FACE)).status_code == 202
    as_text = await http.post("/avatars/prepare?avatar_id=third", data={"landmarks": "[[1, 2]]"}, files=FACE)
    assert as_text.status_code == 400 and "file" in as_text.json()["detail"]
    for wrong in ({"engine": "deepfake"}, {"wait": "perhaps"}):
        (item,) = (await begin(http, "third", **wrong)).json()["detail"]
        assert item["loc"] == ["query", next(iter(wrong))]


async def test_why_there_is_no_avatar_is_said_where_the_job_is(http, live):
    begun = await begin(http, files={"video_file": ("me.mp4", b"junk", "video/mp4")})
    assert begun.status_code == 202
    over = await until_over(http, begun.headers["location"])
    assert over["state"] == "failed" and "not a video" in over["error"] and over["preview_url"] is None
    assert live.ledger.preparations == {"failed": 1}


async def test_a_job_is_cancelled_once(http, live, settings):
    live.maker.waits.clear()
    location = (await begin(http)).headers["location"]
    gone = await http.delete(location)
    assert gone.status_code == 200 and gone.json()["state"] == "cancelled" and gone.json()["completed_at"]
    assert "cancelled" in str(assert_problem(await http.delete(location), 409)["detail"])
    assert_problem(await http.delete(f"{JOBS}/nobody"), 404)
    assert_problem(await http.get(f"{JOBS}/nobody"), 404)
    assert (await http.options(location)).headers["allow"] == "GET, HEAD, DELETE, OPTIONS"
    await until(lambda: not uploads(settings), 10, "its file gone")
    live.maker.waits.set()
    assert live.prepared == {} and live.ledger.preparations == {"cancelled": 1}
    done = await begin(http)
    await until_over(http, done.headers["location"])
    assert "ready" in str(assert_problem(await http.delete(done.headers["location"]), 409)["detail"])


async def test_who_waits_is_told_that_it_was_cancelled(http, live):
    live.maker.waits.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(http.post("/avatars/prepare?avatar_id=me", files=FACE))
        (job,) = (await until_answer(http, JOBS, lambda seen: seen.json()["preparations"])).json()["preparations"]
        assert (await http.delete(f"{JOBS}/{job['job']}")).status_code == 200
    assert (waiting.result().status_code, waiting.result().json()) == (409, {"detail": "it was cancelled"})


async def test_who_waits_is_told_that_the_server_ends(http, live):
    live.maker.waits.clear()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(http.post("/avatars/prepare?avatar_id=me", files=FACE))
        await until(lambda: live.maker.orders, 10, "begun")
        await live.preparations.end()
    assert waiting.result().status_code == 503 and int(waiting.result().headers["retry-after"]) >= 1


async def refusal_of(http: httpx.AsyncClient, path: str) -> str:
    """The status line for a form of which nothing has been sent yet."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    writer.write(f"{head}Content-Length: 400000000\r\n\r\n".encode())
    async with asyncio.timeout(10):
        line = (await reader.readline()).decode()
    writer.close()
    return line


async def test_too_many_are_refused_before_their_file_is_read(http, live):
    live.maker.waits.clear()
    jobs = [(await begin(http, f"a{number}")).headers["location"] for number in range(MOST)]
    refused = await begin(http, "b")
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    for query in ("avatar_id=b&wait=false", "avatar_id=b", "", "avatar_id=nova&force_recreate=true"):
        assert "429" in await refusal_of(http, f"/avatars/prepare?{query}"), query
    known = await http.post("/avatars/prepare?avatar_id=nova", files=FACE)
    assert known.status_code == 200, "of one that is there nothing is made"
    assert (await http.delete(jobs[0])).status_code == 200
    assert (await begin(http, "b")).status_code == 202, "there is room again"
    live.maker.waits.set()
    assert (await until_over(http, jobs[1]))["state"] == "ready"


async def test_only_the_last_ones_are_remembered(http):
    first = (await begin(http, "a0")).headers["location"]
    for number in range(KEPT + 1):
        location = (await begin(http, f"a{number + 1}")).headers["location"]
        await until_over(http, location)
    assert_problem(await http.get(first), 404)
    assert len((await http.get(JOBS)).json()["preparations"]) == KEPT


async def test_what_preparing_has_left_is_served_and_where_there_is_nothing_it_is_said(
    http, live, tmp_path, monkeypatch
):
    for what in ("preview.jpg", "quality"):
        told = assert_problem(await http.get(f"/avatars/nova/{what}"), 404)
        assert "nova has no" in str(told["detail"]) and "prepared" in str(told["detail"])
        assert_problem(await http.get(f"/avatars/nobody/{what}"), 404)
    (tmp_path / "preview.jpg").write_bytes(b"\xff\xd8 a picture")
    (tmp_path / "quality.json").write_bytes(b'{"face_width": 200}')
    monkeypatch.setattr(live, "avatar_file", lambda _, file: tmp_path / file)
    preview = await http.get("/avatars/me/preview.jpg")
    assert preview.headers["content-type"] == "image/jpeg" and preview.content == b"\xff\xd8 a picture"
    assert (await http.get("/avatars/me/preview.jpg", headers={"Range": "bytes=0-1"})).content == b"\xff\xd8"
    assert (await http.get("/avatars/me/quality")).json() == {"face_width": 200}


async def test_addresses_of_jobs_follow_the_settings(tmp_path):
    async with serving(Settings(cache=tmp_path, public_base_path="/face"), FakeRegistry().open) as http:
        begun = await begin(http)
        assert begun.headers["location"] == f"/face{JOBS}/{begun.json()['job']}"
        over = await until_over(http, begun.headers["location"].removeprefix("/face"))
        assert over["preview_url"] == "/face/avatars/me/preview.jpg"
