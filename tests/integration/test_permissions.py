"""Who may do what, on every route there is, with every kind of token: the table of rules held against the server."""

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import pytest
import pytest_asyncio
from litestar import Litestar, get

from tests.fake_live import FakeRegistry
from tests.fuzz.asgi_requests import Running
from whep_server import app as application
from whep_server.settings import Settings
from whep_server.signaling.tokens import Grant, Scope, Secret, sign
from whep_server.web.handshake import with_refusals
from whep_server.web.permissions import RULES, WEBSOCKET, Reach, check_table, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET, OLDER, FOREIGN = Secret("2026", "s" * 32), Secret("2025", "o" * 32), Secret("2026", "f" * 32)
STREAM = "nobody-here"
"""Not on air, nor anything else: who is let in is told that, so that no answer is without an end."""
PARAMETERS = ("stream", "session", "events", "session_id", "avatar_id", "job_id", "job", "name", "request_id")
FILLED = dict.fromkeys(PARAMETERS, STREAM)


@dataclass(frozen=True)
class Asked:
    """What came of one request."""

    status: int
    challenge: str
    body: str


class Asking:
    """An application that is asked in this process, WebSockets included."""

    def __init__(self, app: Litestar) -> None:
        self.app = app
        self._served = with_refusals(app, app.state["cors"])
        transport = httpx.ASGITransport(app)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://avatar.example")

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, query: str = "") -> Asked:
        if method == WEBSOCKET:
            return await self._socket(path, headers or {}, query)
        answer = await self._http.request(method, f"{path}?{query}" if query else path, headers=headers)
        return Asked(answer.status_code, answer.headers.get("www-authenticate", ""), answer.text)

    async def _socket(self, path: str, headers: Mapping[str, str], query: str) -> Asked:
        """As uvicorn hands a handshake on."""
        sent: list[dict] = []
        lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        protocols = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"avatar.example"), *lines],
            "client": ("192.0.2.1", 5),
            "server": ("a", 80),
            "subprotocols": protocols,
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }

        async def receive() -> dict:
            return {"type": "websocket.connect" if not sent else "websocket.disconnect", "code": 1006}

        async def send(message: dict) -> None:
            sent.append(message)

        await self._served(scope, receive, send)  # type: ignore[arg-type]
        start, body = sent
        told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Asked(start["status"], told.get("www-authenticate", ""), body["body"].decode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    live = FakeRegistry()
    secrets = ",".join(f"{each.name}:{each.key}" for each in (SECRET, OLDER))
    settings = Settings(token_secrets=secrets, cache=tmp_path_factory.mktemp("cache"), offers_per_s=0, requests_per_s=0)
    running = Running(application.create_app(settings, live.open))
    await running.begin()
    yield Asking(running.app)
    await running.end()


def token(*scopes: Scope, stream: str = STREAM, secret: Secret = SECRET, from_s: float = 0, until_s: float = 60) -> str:
    """A signed one; times from now."""
    now_s = time.time()
    return sign(secret, Grant(frozenset(scopes), stream), round(now_s + until_s), round(now_s + from_s))


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def forged(good: str) -> dict[str, str]:
    """Made of a good one by who has no secret."""
    header, claims, signature = good.split(".")
    rich = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"scope": "admin", "stream": "*"}
    richer = base64.urlsafe_b64encode(json.dumps(rich).encode()).rstrip(b"=").decode()
    return {
        "tampered": f"{header}.{richer}.{signature}",
        "unsigned": jwt.encode(rich, None, algorithm="none"),
        "of another's secret": token(Scope.ADMIN, stream="*", secret=FOREIGN),
        "no token at all": "guess",
    }


GUARDED = [route for route, rule in RULES.items() if rule.scope is not None]


@pytest.mark.parametrize("route", GUARDED)
async def test_a_guarded_route_lets_in_who_may_and_nobody_else(asking: Asking, route: str):
    method, path = route.split(" ")[0], route.split(" ")[1].format(**FILLED)
    rule = RULES[route]
    assert rule.scope is not None
    every = rule.reach in (Reach.ALL, Reach.LATER)
    good = token(rule.scope, stream="*" if every else STREAM)
    others = [scope for scope in Scope if scope not in (rule.scope, Scope.ADMIN)]
    expired = token(rule.scope, stream="*", from_s=-120, until_s=-60)

    right = [good, token(Scope.ADMIN, stream="*"), token(rule.scope, stream="*", secret=OLDER)]
    right += [] if every else [token(rule.scope, stream="nobody-*")]
    right += [token(rule.scope, stream="another")] if rule.reach is Reach.ANY else []
    right += [expired] if rule.capability else []
    for each in right:
        asked = await asking.ask(method, path, bearer(each))
        assert asked.status not in (401, 403) and not asked.challenge, asked

    lacking = await asking.ask(method, path)
    if rule.capability:
        assert lacking.status == 404
    else:
        assert lacking.status == 401
        assert lacking.challenge == f'Bearer realm="whep-avatar", scope="{rule.scope}"'

    wrong = forged(good) | {"not yet": token(rule.scope, stream="*", from_s=60)}
    for why, each in (wrong | ({} if rule.capability else {"expired": expired})).items():
        asked = await asking.ask(method, path, bearer(each))
        assert asked.status == 401 and 'error="invalid_token"' in asked.challenge, (why, asked)
        assert each not in asked.body

    poor = [token(*others, stream="*")]
    poor += [token(rule.scope, stream="another")] if rule.reach in (Reach.ONE, Reach.ALL) else []
    for each in poor:
        asked = await asking.ask(method, path, bearer(each))
        assert asked.status == 403, asked
        assert 'error="insufficient_scope"' in asked.challenge and f'scope="{rule.scope}"' in asked.challenge

    in_url = await asking.ask(method, path, query=f"token={good}")
    taken = method in ("GET", WEBSOCKET) or rule.in_url or rule.capability
    assert (in_url.status not in (401, 403)) == taken, in_url
    if method == WEBSOCKET:
        offered = "bearer." + base64.urlsafe_b64encode(good.encode()).decode().rstrip("=")
        asked = await asking.ask(method, path, {"Sec-WebSocket-Protocol": f"whep-avatar.pcm.v1, {offered}"})
        assert asked.status == 404, asked


@pytest.mark.parametrize("route", [route for route, rule in RULES.items() if rule.scope is None])
async def test_what_is_for_everybody_asks_nobody(asking: Asking, route: str):
    method, path = route.split(" ")[0], route.split(" ")[1].format(**FILLED)
    for headers in ({}, bearer("guess"), bearer(token(Scope.WATCH, stream="another"))):
        assert (await asking.ask(method, path, headers)).status not in (401, 403)
        assert (await asking.ask("HEAD", path, headers)).status not in (401, 403)


async def test_a_preflight_is_answered_without_a_token(asking: Asking):
    for route in RULES:
        path = route.split(" ")[1].format(**FILLED)
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        assert (await asking.ask("OPTIONS", path, asked)).status in (200, 204), path


async def test_a_stream_is_put_on_air_only_under_a_name_that_the_token_is_for(asking: Asking):
    async def put(name: str, stream: str) -> int:
        headers = bearer(token(Scope.CREATE, stream=stream))
        answer = await asking._http.post("/streams", json={"name": name}, headers=headers)
        return answer.status_code

    assert [await put("team-a", stream) for stream in ("team-b", "other-*", "team-*")] == [403, 403, 201]
    assert await put("team-b", "*") == 201


async def test_files_of_a_session_are_for_who_may_watch_that_session(asking: Asking):
    made = await asking._http.post(
        "/sessions/create", params={"avatar_id": "nova"}, headers=bearer(token(Scope.CREATE, stream="*"))
    )
    session = made.json()["session_id"]
    upload = {"audio_file": ("a.wav", b"speech")}
    spoken = await asking._http.post(
        f"/sessions/{session}/stream", files=upload, headers=bearer(token(Scope.SPEAK, stream=session))
    )
    path = f"/chunks/{spoken.json()['request_id']}/chunk_0099.mp4"
    for stream, status in ((session, 404), ("*", 404), ("another", 403)):
        assert (await asking.ask("GET", path, bearer(token(Scope.WATCH, stream=stream)))).status == status


async def test_ice_servers_are_told_to_who_may_watch_that_stream(tmp_path: Path):
    secret = f"{SECRET.name}:{SECRET.key}"
    settings = Settings(token_secrets=secret, stun_urls="stun:a.example", cache=tmp_path)
    app = application.create_app(settings, FakeRegistry().open)
    async with app.lifespan():
        http = Asking(app)._http
        for headers, told in ((bearer(token(Scope.WATCH)), True), (bearer(token(Scope.WATCH, stream="x")), False)):
            assert ("link" in (await http.options(f"/whep/{STREAM}", headers=headers)).headers) == told
        assert "stun:" not in (await http.get("/player/demo")).text


async def test_a_strict_server_wants_a_good_token_for_each_change_of_a_session(tmp_path: Path):
    settings = Settings(strict=True, token_secrets=f"{SECRET.name}:{SECRET.key}", cache=tmp_path)
    asking = Asking(application.create_app(settings, FakeRegistry().open))
    session = f"/whep/{STREAM}/{STREAM}"
    async with asking.app.lifespan():
        expired = token(Scope.WATCH, from_s=-120, until_s=-60)
        for method in ("PATCH", "DELETE"):
            assert (await asking.ask(method, session)).status == 401
            assert (await asking.ask(method, session, bearer(expired))).status == 401
            assert (await asking.ask(method, session, bearer(token(Scope.WATCH)))).status == 404
        assert (await asking.ask("GET", f"{session}/events")).status == 404  # which a browser reads by its address


async def test_no_route_is_served_without_a_rule(asking: Asking, monkeypatch: pytest.MonkeyPatch):
    assert set(served(asking.app.routes)) == set(RULES)

    @get("/back-door", sync_to_thread=False)
    def back_door() -> None:
        """Which nobody wrote a rule for."""

    with pytest.raises(LookupError, match="GET /back-door"):
        check_table([*asking.app.routes, *Litestar([back_door], openapi_config=None).routes])
    monkeypatch.setattr(application.ops, "ROUTES", [*application.ops.ROUTES, back_door])
    with pytest.raises(LookupError, match="GET /back-door"):
        application.create_app(Settings(), FakeRegistry().open)
    monkeypatch.setattr(application.ops, "ROUTES", [])
    with pytest.raises(LookupError, match="GET /healthz, GET /metrics, GET /readyz"):
        application.create_app(Settings(), FakeRegistry().open)


@pytest.mark.parametrize("path", ["/assets/../pyproject.toml", "/assets/player/..%2f..%2fviseme/x", "/chunks/..%2f/a"])
async def test_paths_that_lead_elsewhere_are_refused_whoever_asks(asking: Asking, path: str):
    asked = await asking.ask("GET", path, bearer(token(Scope.ADMIN, stream="*")))
    assert asked.status in (400, 404)
