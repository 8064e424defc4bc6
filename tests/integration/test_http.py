"""The HTTP surface over a real socket, above a fake live layer: statuses, headers, bodies, and what a bad peer gets."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.clients.waiting import until
from tests.fake_live import FakeEvent, FakeRegistry
from tests.integration.http_server import serving
from whep_server.errors import Unavailable
from whep_server.settings import Settings

OFFER = "v=0\r\ns=-\r\n"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
STALL_S = 0.4
CORS_NAMES = {
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
}


@pytest.fixture
def live() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_upload_bytes=64 * 1024, max_sdp_bytes=4096, upload_stall_s=STALL_S)


@pytest.fixture
async def http(live: FakeRegistry, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, live.open) as client:
        yield client


def assert_problem(response: httpx.Response, status: int) -> dict[str, object]:
    """RFC 9457 and our one more member; CORS; no cached errors to speak of."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.keys() >= CORS_NAMES
    body = response.json()
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["error"] == body["detail"]
    assert "v=0" not in response.text
    return dict(body)


async def raw(http: httpx.AsyncClient, request: bytes, *, end: bool = False) -> tuple[bytes, asyncio.StreamWriter]:
    """What the server sends back on a connection of its own to ``request``, up to the end of its headers."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(request)
    if end:
        writer.write_eof()
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    return head, writer


# --- endpoint


async def test_an_offer_is_answered_with_201_and_everything_a_player_needs(http, live):
    response = await http.post("/whep/demo", content=OFFER, headers=SDP)
    session = live.stream("demo").sessions["session-secret-0123456789"]
    assert response.status_code == 201
    assert response.content == session.answer.encode()
    assert response.headers["content-type"] == "application/sdp"
    assert response.headers["location"] == f"/whep/demo/{session.id}"
    assert response.headers["etag"] == session.etag
    assert response.headers["content-length"] == str(len(session.answer.encode()))
    assert "transfer-encoding" not in response.headers
    assert response.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
    assert "link" not in response.headers


async def test_location_and_links_follow_the_settings(live):
    settings = Settings(
        public_base_path="/avatar/",
        stun_urls="stun:a.example",
        turn_urls="turn:b.example",
        turn_user="u",
        turn_pass="p",
    )
    async with serving(settings, live.open) as http:
        response = await http.post("/whep/demo", content=OFFER, headers=SDP)
        plain = await http.options("/whep/demo")
        listed = (await http.get("/streams")).json()["streams"][0]
    assert response.headers["location"].startswith("/avatar/whep/demo/")
    links = response.headers.get_list("link")
    assert links == [
        '<stun:a.example>; rel="ice-server"',
        '<turn:b.example>; rel="ice-server"; username="u"; credential="p"; credential-type="password"',
    ]
    assert plain.headers.get_list("link") == links
    assert (listed["whep"], listed["player"]) == ("/avatar/whep/demo", "/avatar/player/demo")


@pytest.mark.parametrize("content_type", ["application/sdp; charset=utf-8", "Application/SDP"])
async def test_only_the_media_type_counts(http, content_type):
    response = await http.post("/whep/demo", content=OFFER, headers={"Content-Type": content_type})
    assert response.status_code == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "", "application/sdpx"])
async def test_another_content_type_is_415(http, content_type):
    assert_problem(await http.post("/whep/demo", content=OFFER, headers={"Content-Type": content_type}), 415)


async def test_bad_offers_are_refused_with_their_reason(http, live):
    assert_problem(await http.post("/whep/demo", content=b"", headers=SDP), 400)
    assert_problem(await http.post("/whep/demo", content="not sdp", headers=SDP), 400)
    assert_problem(await http.post("/whep/demo", content=b"v=0\xff\xfe", headers=SDP), 400)
    vp9 = await http.post("/whep/demo", content="v=0\r\na=rtpmap:98 VP9/90000\r\n", headers=SDP)
    assert "neither H264 nor VP8" in str(assert_problem(vp9, 422)["detail"])
    assert_problem(await http.post("/whep/nobody", content=OFFER, headers=SDP), 404)
    assert live.stream("demo").sessions == {}


@pytest.mark.parametrize(("size", "status"), [(4095, 201), (4096, 201), (4097, 413)])
async def test_the_limit_of_an_offer(http, size, status):
    response = await http.post("/whep/demo", content=OFFER.ljust(size), headers=SDP)
    assert response.status_code == status


async def test_what_cannot_be_served_now_says_when_to_come_back(http, live):
    live.stream("demo").fault = Unavailable("no codec is ready yet", retry_after_s=3)
    response = await http.post("/whep/demo", content=OFFER, headers=SDP)
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "3"


async def test_a_fault_of_ours_is_500_without_internals_and_logged_once(http, live, caplog):
    live.stream("demo").fault = RuntimeError("the secret inside")
    with caplog.at_level(logging.ERROR):
        response = await http.post("/whep/demo", content=OFFER, headers=SDP)
    assert_problem(response, 500)
    assert "secret" not in response.text and "Runtime" not in response.text
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize("path", ["/whep/demo", "/whep/demo/session-secret-0123456789"])
async def test_get_and_head_say_sdp_and_nothing_more(http, path):
    await http.post("/whep/demo", content=OFFER, headers=SDP)
    got, looked = await http.get(path), await http.head(path)
    for response in (got, looked):
        assert response.status_code == 200
        assert response.content == b""
        assert response.headers["content-type"] == "application/sdp"
        assert response.headers["content-length"] == "0"
    assert {name for name in got.headers if name != "date"} == {name for name in looked.headers if name != "date"}


async def test_options_plain_and_preflight(http):
    preflight_headers = {
        "Origin": "https://site.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,if-match,authorization",
    }
    for path in ("/whep/demo", "/whep/nobody"):
        for headers in ({}, preflight_headers):
            response = await http.options(path, headers=headers)
            assert response.status_code == 204
            assert response.headers["accept-post"] == "application/sdp"
            assert response.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in response.headers
            assert "link" not in response.headers
            for method in ("POST", "PATCH", "DELETE"):
                assert method in response.headers["access-control-allow-methods"]
            for name in ("Authorization", "Content-Type", "If-Match"):
                assert name in response.headers["access-control-allow-headers"]
            for name in ("Location", "ETag", "Link", "Accept-Patch"):
                assert name in response.headers["access-control-expose-headers"]
    response = await http.options("/streams/demo/speech", headers=preflight_headers)
    assert response.status_code == 204 and response.headers.keys() >= CORS_NAMES


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/whep/demo", {"POST", "GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/whep/demo", {"POST", "GET", "HEAD", "OPTIONS"}),
        ("POST", "/whep/demo/x", {"PATCH", "DELETE", "GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/streams", {"POST", "GET", "HEAD", "OPTIONS"}),
        ("GET", "/streams/demo/speech", {"POST", "OPTIONS"}),
        ("PUT", "/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_are_right(http, method, path, allowed):
    response = await http.request(method, path)
    assert_problem(response, 405)
    assert {name.strip() for name in response.headers["allow"].split(",")} == allowed


@pytest.mark.parametrize(
    "path", ["/nothing", "/whep", "/whep/demo/a/b", "/streams/nobody", "/player/nobody", "/whip/demo"]
)
async def test_unknown_paths_are_404_problems(http, path):
    assert_problem(await http.get(path), 404)


async def test_a_trailing_slash_means_the_same_without_a_redirect(http):
    response = await http.post("/whep/demo/", content=OFFER, headers=SDP)
    assert response.status_code == 201
    assert response.headers["location"].startswith("/whep/demo/")
    assert (await http.get("/streams/")).status_code == 200


# --- session


async def test_a_session_trickles_and_ends(http, live):
    created = await http.post("/whep/demo", content=OFFER, headers=SDP)
    location, tag = created.headers["location"], created.headers["etag"]
    for match in (None, tag, "*", '"*"'):
        headers = FRAGMENT | ({"If-Match": match} if match else {})
        response = await http.patch(location, content="a=mid:0\r\n", headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert "etag" not in response.headers
    assert len(live.stream("demo").sessions["session-secret-0123456789"].fragments) == 4
    assert_problem(await http.patch(location, content="a=x", headers=FRAGMENT | {"If-Match": '"other"'}), 412)
    assert_problem(await http.patch(location, content='{"candidate": 1}', headers=FRAGMENT), 400)
    assert_problem(await http.patch(location, content="a=x", headers=SDP), 415)
    assert_problem(await http.patch(location, content="a=x".ljust(4097), headers=FRAGMENT), 413)
    ended = await http.delete(location, headers={"If-Match": '"other"'})
    assert (ended.status_code, ended.content) == (200, b"")
    assert_problem(await http.delete(location), 404)
    assert_problem(await http.patch(location, content="a=x", headers=FRAGMENT), 404)


# --- streams, avatars, operations


async def test_streams_come_and_go(http, live):
    listed = (await http.get("/streams")).json()["streams"]
    assert [stream["name"] for stream in listed] == ["demo"]
    assert listed[0] == {
        "name": "demo", "avatar": "nova", "title": "Nova", "state": "idle", "width": 1280, "height": 720, "fps": 25,
        "codecs": ["H264"], "viewers": 0, "queued": 0, "on_air_s": 1.0, "whep": "/whep/demo", "player": "/player/demo",
    }  # fmt: skip
    made = await http.post("/streams", json={"name": "second", "fps": 30})
    assert made.status_code == 201
    assert made.headers["location"] == "/streams/second"
    assert made.json()["fps"] == 30 and made.json()["width"] == 1280
    assert (await http.get("/streams/second")).json()["name"] == "second"
    assert_problem(await http.post("/streams", json={"name": "second"}), 409)
    assert_problem(await http.post("/streams", json={"name": "third", "avatar": "nobody"}), 404)
    gone = await http.delete("/streams/second")
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await http.delete("/streams/second"), 404)


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"", "not a stream"), (b"{", "not a stream"), (b"[]", "object"), (b"{}", "name"), (b'{"name": 1}', "name"),
     (b'{"name": "x", "fps": "fast"}', "fps"), (b'{"name": "x", "nope": 1}', "nope"), (b'{"name": "\xff"}', "")],
)  # fmt: skip
async def test_a_bad_stream_request_says_what_is_wrong(http, body, named):
    assert named in str(assert_problem(await http.post("/streams", content=body), 400)["detail"])


async def test_avatars_and_probes(http, live):
    assert (await http.get("/avatars")).json() == {
        "avatars": [{"name": "nova", "title": "Nova", "engine": "viseme", "sizes": [[1280, 720]]}]
    }
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    live.ready, live.stream("demo").state = False, "preparing"
    response = await http.get("/readyz")
    assert "demo is preparing" in str(assert_problem(response, 503)["detail"])
    assert response.headers["retry-after"]
    assert (await http.get("/healthz")).status_code == 200


# --- speech


async def test_speech_as_body_or_form_is_the_same_bytes(http, live):
    audio = bytes(range(256)) * 16
    for request in (
        {"content": audio},
        {"content": audio, "headers": {"Content-Type": "audio/wav"}},
        {"content": audio, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"files": {"file": ("hello.wav", audio, "audio/wav")}},
        {"files": {"audio": ("hello.wav", audio)}, "data": {"note": "passed over"}},
    ):
        response = await http.post("/streams/demo/speech", **request)
        assert response.status_code == 202, response.text
        assert response.json() == {"utterance": "u1", "seconds": None, "queued": 0}
    assert live.stream("demo").spoken == [audio] * 5


async def test_an_upload_is_passed_on_while_it_arrives(http, live):
    going_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"first"
        await until(lambda: live.stream("demo").pieces == 1, 5, "first piece passed on")
        going_on.set()
        yield b"second"

    response = await http.post("/streams/demo/speech", content=slowly())
    assert going_on.is_set() and response.status_code == 202
    assert live.stream("demo").spoken == [b"firstsecond"]


async def test_bad_speech_is_refused(http, live):
    assert_problem(await http.post("/streams/demo/speech", content=b""), 422)
    assert_problem(await http.post("/streams/demo/speech", content=b"junk" * 9), 422)
    assert_problem(await http.post("/streams/nobody/speech", content=b"x"), 404)
    two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
    assert_problem(await http.post("/streams/demo/speech", files=two), 400)
    assert_problem(await http.post("/streams/demo/speech", files={"file": ("a", b"")}), 422)
    form = {"Content-Type": "multipart/form-data"}
    assert_problem(await http.post("/streams/demo/speech", content=b"x", headers=form), 400)
    form = {"Content-Type": "multipart/form-data; boundary=abc"}
    assert_problem(await http.post("/streams/demo/speech", content=b"no form at all", headers=form), 400)
    broken = b'--abc\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    assert_problem(await http.post("/streams/demo/speech", content=broken, headers=form), 400)
    assert live.stream("demo").spoken == []
    assert (await http.post("/streams/demo/speech", content=b"good")).status_code == 202


@pytest.mark.parametrize(("size", "status"), [(64 * 1024 - 1, 202), (64 * 1024, 202), (64 * 1024 + 1, 413)])
async def test_the_limit_of_an_upload_with_and_without_content_length(http, live, size, status):
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 4096):
            yield bytes(min(4096, size - start))

    for body in (bytes(size), chunks()):
        response = await http.post("/streams/demo/speech", content=body)
        assert response.status_code == status, response.text
    assert len(live.stream("demo").spoken) == (2 if status == 202 else 0)


async def test_two_gigabytes_are_refused_before_a_byte_is_read(http, live):
    head, writer = await raw(
        http,
        b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\nExpect: 100-continue\r\n\r\n",
    )
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ") and b"connection: close" in head.lower()
    assert live.stream("demo").began == 0


async def test_the_sender_of_too_much_reads_the_refusal(http):
    """Not only a connection reset, however much it was in the middle of sending."""
    response = await http.post("/streams/demo/speech", content=bytes(3 * 1024 * 1024))
    assert_problem(response, 413)


async def test_an_upload_that_stops_coming_is_408(http, live):
    head, writer = await raw(http, b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
    writer.close()
    assert head.startswith(b"HTTP/1.1 408 ")
    assert live.stream("demo").spoken == []


async def test_a_sender_that_goes_away_leaves_nothing(http, live, caplog):
    _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
    await until(lambda: live.stream("demo").pieces, 5, "upload begun")
    writer.close()
    assert (await http.post("/streams/demo/speech", content=b"another")).status_code == 202
    assert live.stream("demo").spoken == [b"another"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- events


async def read_until(lines: AsyncIterator[str], text: str) -> list[str]:
    seen: list[str] = []
    async with asyncio.timeout(5):
        async for line in lines:
            seen.append(line)
            if text in line:
                return seen
    return seen


async def test_events_are_heard_until_the_stream_is_taken_off_air(http, live):
    stream = live.stream("demo")
    async with http.stream("GET", "/streams/demo/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers.keys() >= CORS_NAMES
        lines = response.aiter_lines()
        assert 'data: {"state":"idle"}' in await read_until(lines, '"state"')
        await read_until(lines, '"viewers"')
        stream.listeners[0].waiting.put_nowait(FakeEvent("speech", {"utterance": "u\n1", "state": "started"}))
        seen = await read_until(lines, "utterance")
        assert "event: speech" in seen
        assert json.loads(seen[-1].removeprefix("data: ")) == {"utterance": "u\n1", "state": "started"}
        await http.delete("/streams/demo")
        assert await read_until(lines, "never") is not None
    assert stream.listeners == []
    assert_problem(await http.get("/streams/demo/events"), 404)


async def test_a_listener_that_goes_away_is_forgotten(http, live):
    async with http.stream("GET", "/streams/demo/events") as response:
        await read_until(response.aiter_lines(), '"state"')
        assert len(live.stream("demo").listeners) == 1
    await until(lambda: not live.stream("demo").listeners, 5, "listener forgotten")


async def test_a_server_told_to_stop_ends_its_listeners_and_its_live_layer(live, settings):
    async with serving(settings, live.open) as http, http.stream("GET", "/streams/demo/events") as response:
        await read_until(response.aiter_lines(), '"state"')
        assert not live.closed
        # leaving the block tells the server to stop while the listener is connected; it must end, and soon
    assert live.closed and live.stream("demo").listeners == []


# --- pages and files


async def test_the_pages_hold_what_they_need(http, live):
    live.stream("demo").title = "</script><b>"
    page = await http.get("/player/demo")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '"whep": "/whep/demo"' in page.text
    assert "</script><b>" not in page.text
    looked = await http.head("/player/demo")
    assert looked.headers["content-length"] == str(len(page.content)) and looked.content == b""
    landing = await http.get("/")
    assert landing.status_code == 200 and "/player/demo" in landing.text


async def test_files_have_their_types_tags_and_ranges(live, tmp_path: Path, settings):
    for name, data in {"player/a.js": b"x", "player/b.mjs": b"y", "player/c.css": b"z", "speech/d.ogg": b"0123456789",
                       "avatars/nova/e.webm": b"w", "avatars/nova/f.mp4": b"m", "viseme/weights.pt": b"s",
                       "avatars/nova/poses.npy": b"p"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path.parent / "outside.js").write_text("o")
    changed = settings.model_copy(update={"assets": tmp_path})
    async with serving(changed, live.open) as http:
        types = {}
        for name in ("player/a.js", "player/b.mjs", "player/c.css", "speech/d.ogg", "avatars/nova/e.webm",
                     "avatars/nova/f.mp4"):  # fmt: skip
            types[name.rpartition(".")[2]] = (
                (await http.get(f"/assets/{name}")).headers["content-type"].partition(";")[0]
            )
        assert types == {"js": "text/javascript", "mjs": "text/javascript", "css": "text/css", "ogg": "audio/ogg",
                         "webm": "video/webm", "mp4": "video/mp4"}  # fmt: skip
        whole = await http.get("/assets/speech/d.ogg")
        assert whole.content == b"0123456789" and whole.headers["content-length"] == "10"
        again = await http.get("/assets/speech/d.ogg", headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        assert (await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=-3"})).content == b"789"
        assert (await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=7-"})).content == b"789"
        assert (await http.head("/assets/speech/d.ogg")).headers["content-length"] == "10"
        for name in ("viseme/weights.pt", "avatars/nova/poses.npy", "player", "player/", "", "nothing.js", "%00.js",
                     "player/..%2f..%2foutside.js", "..%2foutside.js", "/etc/passwd"):  # fmt: skip
            assert_problem(await http.get(f"/assets/{name}"), 404)


# --- the log


async def test_no_secret_reaches_the_log(http, caplog):
    with caplog.at_level(logging.DEBUG):
        created = await http.post("/whep/demo", content=OFFER + "a=ice-pwd:hushhush\r\n", headers=SDP)
        await http.patch(created.headers["location"], content="a=ice-pwd:hushhush", headers=FRAGMENT)
        await http.delete(created.headers["location"])
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    ours = [f"{record.name} {record.getMessage()}" for record in records]
    assert not [line for line in ours if "hushhush" in line or "session-secret" in line]
