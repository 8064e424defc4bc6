"""What a server shows and tells to strangers: page headers, origins, limits for each, and a log without secrets."""

import base64
import io
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.clients.waiting import until
from tests.fake_live import FakeRegistry
from tests.integration.http_server import assert_problem, serving, until_answer
from whep_server import log
from whep_server.settings import Settings
from whep_server.signaling.tokens import Grant, Scope, parse_secrets, sign

KEY = "2026:" + "0123456789abcdef" * 2
SDP = {"Content-Type": "application/sdp"}


def bearer(*scopes: Scope, stream: str = "demo", until_s: float = 60) -> str:
    return sign(parse_secrets(KEY)[0], Grant(frozenset(scopes), stream), round(time.time() + until_s))


# --- pages


async def test_every_page_has_the_policy_and_everything_is_taken_for_what_it_is_said_to_be(http, live):
    session = (await http.post("/sessions/create?avatar_id=nova")).json()["session_id"]
    watched = (await http.post("/webrtc/sessions/create?avatar_id=nova")).json()["session_id"]
    pages = ["/player/demo", "/publish/demo", "/ui", "/docs", "/", f"/player/session/{session}"]
    pages += [f"/webrtc/player/{watched}", "/player/nobody"]
    for path in pages:
        page = await http.get(path, headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html"), path
        policy = page.headers["content-security-policy"]
        assert policy == (
            "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'"
        )
        assert page.headers["referrer-policy"] == "no-referrer"
    for path in [*pages, "/streams", "/assets/player/player.js", "/no/such", "/metrics", "/sessions/x/status"]:
        assert (await http.get(path)).headers["x-content-type-options"] == "nosniff", path


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        ("https://a.example/, http://localhost:3000", "frame-ancestors 'self' https://a.example http://localhost:3000"),
        ("", "frame-ancestors 'none'"),
    ],
)
async def test_who_may_frame_a_page_is_a_setting(live, parents: str, said: str):
    async with serving(Settings(frame_ancestors=parents), live.open) as http:
        assert (await http.get("/player/demo")).headers["content-security-policy"].endswith(f"; {said}")


@pytest.mark.parametrize(
    "wrong", ["a.example", "https://a.example/path", "https://*", "*, https://a.example", "https://a;b"]
)
@pytest.mark.parametrize("name", ["cors_origins", "frame_ancestors"])
def test_what_is_no_origin_is_no_setting(name: str, wrong: str):
    with pytest.raises(ValueError, match=name):
        Settings(**{name: wrong})


# --- origins


async def test_a_websocket_of_a_page_elsewhere_is_refused_where_origins_are_named(live):
    async with serving(Settings(cors_origins="https://app.example"), live.open) as http:
        url = f"ws://{http.base_url.netloc.decode()}/streams/demo/pcm"
        own = str(http.base_url).rstrip("/")
        for origin in (None, "https://app.example", own):
            async with connect(url, origin=origin) as socket:  # type: ignore[arg-type]
                assert "ready" in str(await socket.recv())
        for origin in ("https://evil.example", "https://app.example:8443", "null"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, origin=origin)  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403


# --- limits


async def test_an_address_has_so_many_requests_under_way_and_no_more(live):
    async with serving(Settings(max_open_requests=3), live.open) as http, AsyncExitStack() as open_ones:
        for _ in range(3):
            events = await open_ones.enter_async_context(http.stream("GET", "/streams/demo/events"))
            assert events.status_code == 200
        refused = await http.post("/streams/demo/interrupt")
        assert_problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        assert (await http.get("/healthz")).status_code == 200  # what is for everybody is not counted out
        await events.aclose()
        answered = await until_answer(http, "/streams/demo/pcm", lambda answer: answer.status_code != 429)
        assert answered.status_code == 426  # somebody left, and there is room again


async def test_an_address_that_tries_tokens_is_told_to_wait(live):
    settings = Settings(token_secrets=KEY, requests_per_s=0.01, request_burst=4)
    async with serving(settings, live.open) as http:
        answers = [await http.get("/metrics", headers={"Authorization": f"Bearer {n}"}) for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    assert all(int(answer.headers["retry-after"]) > 1 for answer in answers[4:])


async def test_offers_are_counted_before_their_token_is_looked_at(live):
    settings = Settings(token_secrets=KEY, offers_per_s=0.01, offer_burst=2)
    async with serving(settings, live.open) as http:
        statuses = [(await http.post("/whep/demo", content="v=0", headers=SDP)).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]


# --- what is told


class Broken(FakeRegistry):
    """One that fails in the middle of a request."""

    def stream(self, name: str):
        if name == "broken":
            raise RuntimeError("a fault of ours")
        return super().stream(name)


@pytest.fixture
def logged() -> AsyncIterator[io.StringIO]:
    """All that the server logs, at its most talkative."""
    written = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    log.configure("DEBUG", as_json=True, stream=written)
    yield written
    logging.basicConfig(level=level, handlers=before, force=True)


async def test_no_token_no_secret_and_no_session_is_ever_logged_or_sent_back(logged: io.StringIO):
    good, late = bearer(Scope.ADMIN, stream="*"), bearer(Scope.WATCH, until_s=-60)
    fixed = "a-fixed-token-to-watch"
    settings = Settings(token_secrets=KEY, watch_token=fixed, stun_urls="stun:a.example")
    told: list[str] = []
    statuses: set[int] = set()
    secrets = [good, late, fixed, "guess-6b1f", KEY.partition(":")[2]]

    def answered(answer: httpx.Response) -> httpx.Response:
        statuses.add(answer.status_code)
        told.append(answer.text)
        return answer

    async with serving(settings, Broken().open) as http:
        for token in (good, late, fixed, "guess-6b1f"):
            header, query = {"Authorization": f"Bearer {token}"}, {"token": token}
            created = answered(await http.post("/whep/demo", content="v=0\r\n", headers=SDP | header))
            if created.status_code == 201:
                secrets.append(created.headers["location"].rpartition("/")[2])
                answered(await http.patch(created.headers["location"], content="garbage", headers=header))
            answered(await http.post("/whep/demo", content="not sdp", headers=SDP, params=query))
            answered(await http.post("/streams/broken/speech", content=b"x", headers=header))
            answered(await http.options("/whep/demo", headers=header))
            for path in ("/streams/broken/pcm", "/player/demo", f"/no/{token}", "/metrics", "/sessions/x/status"):
                answered(await http.get(path, params=query))
            url = f"ws://{http.base_url.netloc.decode()}/streams/demo/pcm"
            secrets.append(offered := "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("="))
            for asked, protocols in ((f"{url}?token={token}", None), (url, ["whep-avatar.pcm.v1", offered])):
                try:
                    async with connect(asked, subprotocols=protocols) as socket:  # type: ignore[arg-type]
                        await socket.send("{")
                        told.append(str(await socket.recv()))
                except InvalidStatus as refused:
                    told.append((refused.response.body or b"").decode())
        await until(lambda: "a fault of ours" in logged.getvalue(), 10, "the fault in the log")
    assert statuses >= {200, 201, 400, 401, 403, 404, 500}
    # of the two clients in this process one logs what it asks for, the other what it sends
    ours = [line for line in logged.getvalue().splitlines() if '"logger": "http' not in line]
    ours = [line for line in ours if '"logger": "websockets.client"' not in line]
    assert not [line for line in [*ours, *told] for secret in secrets if secret in line]
