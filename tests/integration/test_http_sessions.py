"""Sessions over HTTP, above a fake live layer: both protocols, tokens, strict mode, restarts, rates, events."""

import asyncio
import contextlib
import json
import time

import httpx
import pytest

from tests.integration.http_server import STALL_S, assert_problem, serving
from tests.integration.test_http import EVENTS, FRAGMENT, OFFER, SDP
from whep_server.settings import BargeIn, Settings

RESTART = "a=ice-ufrag:changed\r\na=ice-pwd:changedchangedchangedchanged\r\n"
PROTOCOLS = pytest.mark.parametrize("protocol", ["whep", "whip"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def created(http: httpx.AsyncClient, protocol: str = "whep", **headers: str) -> httpx.Response:
    response = await http.post(f"/{protocol}/demo", content=OFFER, headers=SDP | headers)
    assert response.status_code == 201, response.text
    return response


# --- WHIP beside WHEP


async def test_a_publisher_gets_a_session_of_its_own(http, live):
    response = await created(http, "whip")
    session = live.stream("demo").publishers["session-secret-0123456789"]
    assert response.headers["location"] == f"/whip/demo/{session.id}"
    assert response.headers["etag"] == session.etag and "link" not in response.headers
    assert (await http.get("/streams/demo")).json()["publisher"] is True
    assert_problem(await http.delete(response.headers["location"].replace("whip", "whep")), 404)
    assert (await http.delete(response.headers["location"])).status_code == 200
    assert (await http.get("/streams/demo")).json()["publisher"] is False


async def test_a_second_publisher_is_told_when_to_come_again(http):
    await created(http, "whip")
    response = await http.post("/whip/demo", content=OFFER, headers=SDP)
    assert_problem(response, 409)
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("query", "meant"), [("", None), *((f"?interrupt={way}", way) for way in BargeIn)])
async def test_a_publisher_says_whether_its_voice_interrupts(http, live, query, meant):
    response = await http.post(f"/whip/demo{query}", content=OFFER, headers=SDP)
    assert response.status_code == 201, response.text
    assert live.stream("demo").interrupts is meant
    assert "?" not in response.headers["location"]


async def test_a_publisher_that_wants_what_nobody_knows_is_told_so(http, live):
    for query in ("interrupt=loudly", "interrupt=", "interrupt=SPEECH"):
        assert_problem(await http.post(f"/whip/demo?{query}", content=OFFER, headers=SDP), 400)
    assert not live.stream("demo").publishers
    assert (await http.post("/whep/demo?interrupt=loudly", content=OFFER, headers=SDP)).status_code == 201


async def test_whip_takes_no_answers_by_patch(http):
    location = (await created(http, "whip")).headers["location"]
    assert_problem(await http.patch(location, content="v=0\r\n", headers=SDP), 415)


@PROTOCOLS
async def test_methods_that_are_not_there_are_405_with_those_that_are(http, protocol):
    location = (await created(http, protocol)).headers["location"]
    for method, path, allowed in (
        ("PUT", f"/{protocol}/demo", {"POST", "OPTIONS", "GET", "HEAD"}),
        ("DELETE", f"/{protocol}/demo", {"POST", "OPTIONS", "GET", "HEAD"}),
        ("POST", location, {"PATCH", "DELETE", "OPTIONS", "GET", "HEAD"}),
        ("PUT", location, {"PATCH", "DELETE", "OPTIONS", "GET", "HEAD"}),
    ):
        response = await http.request(method, path)
        assert_problem(response, 405)
        assert {name.strip() for name in response.headers["allow"].split(",")} == allowed


# --- ICE restart


@PROTOCOLS
@pytest.mark.parametrize("match", ["*", '"*"', None])
async def test_a_restart_is_answered_with_a_fragment_and_a_new_tag(http, protocol, match):
    before = await created(http, protocol)
    headers = FRAGMENT | ({"If-Match": match} if match else {})
    response = await http.patch(before.headers["location"], content=RESTART, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == FRAGMENT["Content-Type"]
    assert response.headers["etag"] != before.headers["etag"]
    assert response.content == b"a=ice-options:trickle\r\n"
    old = await http.patch(
        before.headers["location"], content="a=mid:0", headers=FRAGMENT | {"If-Match": before.headers["etag"]}
    )
    assert_problem(old, 412)
    new = await http.patch(
        before.headers["location"], content="a=mid:0", headers=FRAGMENT | {"If-Match": response.headers["etag"]}
    )
    assert new.status_code == 204


# --- strict mode


async def test_strict_mode_wants_if_match_with_every_patch(live):
    async with serving(Settings(strict=True, upload_stall_s=STALL_S), live.open) as http:
        response = await created(http)
        location, tag = response.headers["location"], response.headers["etag"]
        assert_problem(await http.patch(location, content="a=mid:0", headers=FRAGMENT), 428)
        assert (await http.patch(location, content="a=mid:0", headers=FRAGMENT | {"If-Match": tag})).status_code == 204
        restart = await http.patch(location, content=RESTART, headers=FRAGMENT | {"If-Match": "*"})
        assert restart.status_code == 200
        assert (await http.delete(location)).status_code == 200


# --- tokens


@pytest.fixture
async def guarded(live):
    async with serving(Settings(watch_token="watch-it", publish_token="say-it"), live.open) as http:
        yield http


@pytest.mark.parametrize(("protocol", "token"), [("whep", "watch-it"), ("whep", "say-it"), ("whip", "say-it")])
@pytest.mark.parametrize("form", ["Bearer {}", "bearer  {}", "{}", None])
async def test_the_right_token_is_let_in_however_it_is_given(guarded, protocol, token, form):
    url = f"/{protocol}/demo" + ("" if form else f"?token={token}")
    headers = SDP | ({"Authorization": form.format(token)} if form else {})
    response = await guarded.post(url, content=OFFER, headers=headers)
    assert response.status_code == 201
    assert "?" not in response.headers["location"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/whep/demo"),
        ("POST", "/whep/nobody"),  # who is not let in does not learn what is on air
        ("POST", "/whip/demo"),
        ("POST", "/streams/demo/speech"),
        ("GET", "/streams/demo/events"),
        ("POST", "/streams"),
        ("DELETE", "/streams/demo"),
    ],
)
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": "Basic d2F0Y2g6aXQ="}])
async def test_others_are_refused_with_a_challenge(guarded, method, path, headers):
    response = await guarded.request(method, path, content=b"{}", headers=SDP | headers)
    assert_problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer realm=")
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]
    assert "wrong" not in response.text


async def test_the_token_for_watching_is_not_one_for_publishing(guarded):
    assert_problem(await guarded.post("/whip/demo", content=OFFER, headers=SDP | bearer("watch-it")), 403)
    refused = await guarded.post("/streams/demo/speech", content=b"x", headers=bearer("watch-it"))
    assert_problem(refused, 403)
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert (await guarded.post("/streams/demo/speech", content=b"x", headers=bearer("say-it"))).status_code == 202


async def test_a_session_url_needs_no_token_but_a_wrong_one_is_refused(guarded):
    location = (await created(guarded, **bearer("watch-it"))).headers["location"]
    assert (await guarded.patch(location, content="a=mid:0", headers=FRAGMENT)).status_code == 204
    assert_problem(await guarded.patch(location, content="a=mid:0", headers=FRAGMENT | bearer("wrong")), 401)
    assert_problem(await guarded.delete(location, headers=bearer("wrong")), 401)
    assert (await guarded.delete(location)).status_code == 200


async def test_a_strict_session_url_needs_its_token(live):
    async with serving(Settings(strict=True, watch_token="watch-it"), live.open) as http:
        location = (await created(http, **bearer("watch-it"))).headers["location"]
        assert_problem(await http.delete(location), 401)
        assert (await http.delete(location, headers=bearer("watch-it"))).status_code == 200


async def test_a_preflight_needs_no_token_and_ice_servers_are_for_those_who_have_it(live):
    settings = Settings(watch_token="watch-it", stun_urls="stun:a.example")
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    async with serving(settings, live.open) as http:
        assert (await http.options("/whep/demo", headers=preflight)).status_code == 204
        assert "link" not in (await http.options("/whep/demo")).headers
        told = await http.options("/whep/demo", headers=bearer("watch-it"))
        assert told.headers["link"] == '<stun:a.example>; rel="ice-server"'
        page = (await http.get("/player/demo")).text
        assert "stun:a.example" not in page


async def test_without_a_configured_token_whatever_is_sent_is_ignored(http):
    assert (await created(http, Authorization="Bearer undefined")).status_code == 201


# --- TURN credentials


async def test_turn_credentials_are_made_for_each_and_expire(live):
    settings = Settings(turn_urls="turn:b.example", turn_user="u", turn_secret="shared", turn_lifetime_s=600)
    async with serving(settings, live.open) as http:
        link = (await created(http)).headers.get_list("link")[0]
    assert link.startswith('<turn:b.example>; rel="ice-server"; username="')
    expiry = int(link.split('username="')[1].split(":")[0])
    now = int(time.time())
    assert 0 < expiry - now <= 601 and ':u"' in link and "shared" not in link


# --- rates


@PROTOCOLS
async def test_too_many_offers_are_429_and_told_when_to_come_again(live, protocol):
    async with serving(Settings(offers_per_s=0.01, offer_burst=3), live.open) as http:
        statuses = []
        for _ in range(5):
            response = await http.post(f"/{protocol}/demo", content=b"hello", headers=SDP)
            statuses.append(response.status_code)
        assert statuses == [400, 400, 400, 429, 429]
        assert_problem(response, 429)
        assert int(response.headers["retry-after"]) > 1


# --- server-sent events of a session


class Listening:
    """One open event stream, read line by line."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()

    async def next(self) -> tuple[str, dict[str, object]]:
        async with asyncio.timeout(10):
            kind = ""
            async for line in self.lines:
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return kind, json.loads(line.removeprefix("data: "))
        raise EOFError


async def asked(http: httpx.AsyncClient, body: bytes) -> httpx.Response:
    location = (await created(http)).headers["location"]
    return await http.post(f"{location}/events", content=body, headers={"Content-Type": "application/json"})


async def test_a_player_is_told_what_it_asked_for_until_its_session_ends(http, live):
    response = await asked(http, b'["viewercount", "active"]')
    assert (response.status_code, response.content) == (201, b"")
    session = next(iter(live.stream("demo").sessions.values()))
    session.events.tell("inactive", {})  # not asked for
    session.events.tell("active", {})
    async with http.stream("GET", response.headers["location"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        listening = Listening(stream)
        assert await listening.next() == ("viewercount", {"viewercount": 1})
        assert await listening.next() == ("active", {})
        await session.close()
        with pytest.raises(EOFError):
            await listening.next()


async def test_a_plain_get_hears_all_types(http, live):
    location = (await created(http)).headers["location"]
    async with http.stream("GET", f"{location}/events") as stream:
        listening = Listening(stream)
        assert await listening.next() == ("viewercount", {"viewercount": 1})
        live.stream("demo").sessions["session-secret-0123456789"].events.tell("reconnect", {})
        assert await listening.next() == ("reconnect", {})


@pytest.mark.parametrize("body", [b'["nope"]', b'["active", "layers"]', b"{}", b"[1]", b"junk", b"\xff"])
async def test_types_that_are_not_offered_are_refused(http, body):
    assert_problem(await asked(http, body), 400)


async def test_a_dropped_event_stream_is_gone(http):
    where = (await asked(http, b"")).headers["location"]
    assert (await http.delete(where)).status_code == 200
    assert_problem(await http.get(where), 404)
    assert_problem(await http.delete(where), 404)


async def test_a_session_has_few_event_streams(http):
    location = (await created(http)).headers["location"]
    statuses = [(await http.post(f"{location}/events", content=b"")).status_code for _ in range(5)]
    assert statuses == [201, 201, 201, 201, 429]


async def test_whip_has_no_events(http):
    response = await created(http, "whip")
    assert EVENTS not in response.headers.get("link", "")
    assert_problem(await http.post(response.headers["location"] + "/events", content=b""), 404)


async def test_players_are_told_to_reconnect_where_the_server_ends(live):
    begun = asyncio.Event()
    heard = []

    async def listen(url: str) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as listener, listener.stream("GET", url) as stream:
            listening = Listening(stream)
            with contextlib.suppress(EOFError):
                while True:
                    heard.append((await listening.next())[0])
                    begun.set()

    async with asyncio.TaskGroup() as group, serving(Settings(), live.open) as http:
        location = (await created(http)).headers["location"]
        group.create_task(listen(f"{http.base_url}{location}/events"))
        async with asyncio.timeout(10):
            await begun.wait()
    assert heard == ["viewercount", "reconnect"]


async def test_where_events_can_be_read_they_can_be_looked_at(http, live):
    entry = (await created(http)).headers["location"] + "/events"
    stream = (await http.post(entry)).headers["location"]
    for path in (entry, stream, "/streams/demo/events"):
        head = await http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
    assert not live.stream("demo").listeners
    assert (await http.head(f"{entry}/nothing")).status_code == 404
