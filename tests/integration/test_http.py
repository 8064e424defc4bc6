"""The HTTP surface over a real socket, above a fake live layer: statuses, headers, bodies, and what a bad peer gets."""

import asyncio
import logging
import socket

import pytest

from avatar.messages import POSES
from tests.integration.http_server import CORS_NAMES, assert_problem, serving
from whep_server.command.serve import listen
from whep_server.errors import Unavailable
from whep_server.settings import Settings

OFFER = "v=0\r\ns=-\r\n"
SDP = {"Content-Type": "application/sdp"}
EVENTS = 'rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,viewercount,reconnect"'
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


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
    assert response.headers.get_list("link") == [f"</whep/demo/{session.id}/events>; {EVENTS}"]


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
    *links, events = response.headers.get_list("link")
    assert events == f"<{response.headers['location']}/events>; {EVENTS}"
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
    "path", ["/nothing", "/whep", "/whep/demo/a/b", "/streams/nobody", "/publish/nobody", "/whip/demo/a/b"]
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
    assert_problem(await http.patch(location, content="a=x", headers={"Content-Type": "text/plain"}), 415)
    assert_problem(await http.patch(location, content="a=x", headers=SDP), 422)
    assert_problem(await http.patch(location, content="a=x".ljust(4097), headers=FRAGMENT), 413)
    ended = await http.delete(location, headers={"If-Match": '"other"'})
    assert (ended.status_code, ended.content) == (200, b"")
    assert_problem(await http.delete(location), 404)
    assert_problem(await http.patch(location, content="a=x", headers=FRAGMENT), 404)


# --- streams, avatars, operations


async def test_a_figure_takes_a_pose(http, live):
    taken = await http.post("/streams/demo/pose", json={"pose": "listening"})
    assert (taken.status_code, taken.json()) == (200, {"pose": "listening", "poses": list(POSES)})
    assert (await http.get("/streams/demo")).json()["pose"] == "listening" == live.by_name["demo"].figure.pose
    assert_problem(await http.post("/streams/nowhere/pose", json={"pose": "listening"}), 404)
    assert "dancing" in assert_problem(await http.post("/streams/demo/pose", json={"pose": "dancing"}), 422)["detail"]
    for body in (b"", b"{", b"[]", b"\xff", b'{"pose": 1}', b'{"pose": "nodding", "much": 1}'):
        assert_problem(await http.post("/streams/demo/pose", content=body), 400)
    assert_problem(await http.post("/streams/demo/pose", content=b" " * 5000), 413)
    live.by_name["demo"].figure.poses = ("neutral",)
    assert_problem(await http.post("/streams/demo/pose", json={"pose": "nodding"}), 409)
    assert live.by_name["demo"].figure.pose == "listening", "what was refused has changed nothing"


async def test_streams_come_and_go(http, live):
    listed = (await http.get("/streams")).json()["streams"]
    assert [stream["name"] for stream in listed] == ["demo"]
    assert listed[0] == {
        "name": "demo", "avatar": "nova", "title": "Nova", "state": "idle", "width": 1280, "height": 720, "fps": 25,
        "codecs": ["H264"], "viewers": 0, "publisher": False, "queued": 0,
        "pose": "neutral", "poses": ["neutral", "listening", "nodding"], "on_air_s": 1.0,
        "whep": "/whep/demo", "whip": "/whip/demo", "player": "/player/demo", "publish": "/publish/demo",
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
        "avatars": [
            {
                "name": "nova",
                "title": "Nova",
                "engine": "viseme",
                "sizes": [[1280, 720]],
                "shipped": True,
                "poses": ["neutral"],
            }
        ]
    }
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    live.ready, live.stream("demo").state = False, "preparing"
    response = await http.get("/readyz")
    assert "demo is preparing" in str(assert_problem(response, 503)["detail"])
    assert response.headers["retry-after"]
    assert (await http.get("/healthz")).status_code == 200


# --- the log


async def test_no_secret_reaches_the_log(http, caplog):
    with caplog.at_level(logging.DEBUG):
        created = await http.post("/whep/demo", content=OFFER + "a=ice-pwd:hushhush\r\n", headers=SDP)
        await http.patch(created.headers["location"], content="a=ice-pwd:hushhush", headers=FRAGMENT)
        await http.delete(created.headers["location"])
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    ours = [f"{record.name} {record.getMessage()}" for record in records]
    assert not [line for line in ours if "hushhush" in line or "session-secret" in line]


async def test_no_part_of_an_answer_waits_for_the_one_before_to_be_acknowledged():
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(take, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await asyncio.wait_for(accepted, 10) == 1
            writer.close()
