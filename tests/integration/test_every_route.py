"""Who is let in where, on a real server with real sessions and files: every route, with every kind of wrong token."""

import base64
import json
from collections.abc import Iterator

import jwt
import pytest

from tests.clients.every_route import FOREIGN, EveryRoute, Told, bearer, every_route, offered, token
from whep_server.signaling.tokens import EVERY, Scope
from whep_server.web.pcm_messages import SUBPROTOCOL
from whep_server.web.permissions import RULES, WEBSOCKET, Reach, Rule

pytestmark = pytest.mark.timeout(400)

GUARDED = sorted(route for route, rule in RULES.items() if rule.scope is not None)
ELSEWHERE = "another"
"""A stream that is not the one in question."""


@pytest.fixture(scope="module")
def every() -> Iterator[EveryRoute]:
    with every_route("every-route", stun_urls="stun:127.0.0.1:9", log_level="DEBUG") as running:
        yield running


def stream_of(every: EveryRoute, route: str, rule: Rule) -> str:
    """The stream that a route is about, where it is about one."""
    _, path = route.split(" ")
    if rule.reach is Reach.ONE:
        return every.path(f"{path}\n{{{rule.stream}}}").rpartition("\n")[2]
    return every.there["/sessions/"]["session_id"] if path.startswith("/chunks/") else EVERY


def tampered(good: str) -> dict[str, str]:
    """Made of a good one by who has no secret."""
    header, claims, signature = good.split(".")
    rich = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) | {"scope": "admin", "stream": "*"}
    richer = base64.urlsafe_b64encode(json.dumps(rich).encode()).rstrip(b"=").decode()
    return {
        "its claims changed": f"{header}.{richer}.{signature}",
        "its signature changed": f"{header}.{claims}.{signature[:-4]}{'AAAA' if signature[-4:] != 'AAAA' else 'BBBB'}",
        "its signature cut": f"{header}.{claims}.",
        "unsigned": jwt.encode(rich, None, algorithm="none"),
        "another's secret": token(Scope.ADMIN, secret=FOREIGN),
    }


def wrong_ones(every: EveryRoute, route: str, rule: Rule) -> dict[str, tuple[int, str]]:
    """What is to be refused on a route: the status, and the token."""
    assert rule.scope is not None
    good = token(rule.scope, stream=stream_of(every, route, rule))
    found = {why: (401, each) for why, each in tampered(good).items()}
    if not rule.capability:  # who holds an address may end what it began (docs/security.md)
        found["expired"] = (401, token(rule.scope, left_s=-60))
    others = [scope for scope in Scope if scope not in (rule.scope, Scope.ADMIN)]
    found["of another scope"] = (403, token(*others))
    if rule.reach is not Reach.ANY:
        found["another stream's"] = (403, token(rule.scope, stream=ELSEWHERE))
        found["another stream's admin"] = (403, token(Scope.ADMIN, stream=ELSEWHERE))
        found["that of names that begin otherwise"] = (403, token(rule.scope, stream=f"{ELSEWHERE}*"))
    return found


def send(every: EveryRoute, route: str, value: str | None, query: str = "") -> Told:
    method, path = route.split(" ")
    body = {"json": {"name": "lobby"}} if route == "POST /streams" else {}
    return every.ask(method, every.path(path), bearer(value) if value else {}, query, **body)


def test_the_server_has_the_routes_that_are_tried(every: EveryRoute):
    assert every.routes() == sorted(RULES)


@pytest.mark.parametrize("route", GUARDED)
def test_whoever_has_no_right_is_refused_whatever_is_there(every: EveryRoute, route: str):
    rule = RULES[route]
    if not rule.capability:
        told = send(every, route, None)
        assert told.status == 401 and told.challenge == f'Bearer realm="whep-avatar", scope="{rule.scope}"'
        assert send(every, route, None, query="token=").status == 401
    for why, (status, value) in wrong_ones(every, route, rule).items():
        told = send(every, route, value)
        assert told.status == status, (why, told)
        assert ('error="invalid_token"' if status == 401 else 'error="insufficient_scope"') in told.challenge, why
        assert value not in told.body + told.challenge
        if route.startswith((WEBSOCKET, "GET")) or rule.in_url:
            assert send(every, route, None, query=f"token={value}").status == status, why
        if route.startswith(WEBSOCKET):
            header = {"Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, {offered(value)}"}
            assert every.ask(WEBSOCKET, every.path(route.split(" ")[1]), header).status == status, why
        if route.startswith("GET"):
            head = every.ask("HEAD", every.path(route.split(" ")[1]), bearer(value))
            assert (head.status, head.body) == (status, ""), why


def test_nothing_came_of_all_that(every: EveryRoute):
    """What was there is there, and nothing else is; each is there for whoever may."""
    admin = token(Scope.ADMIN)
    streams = every.http.get("/streams").json()["streams"]
    assert [stream["name"] for stream in streams] == ["demo"] and streams[0]["viewers"] == 1 and streams[0]["publisher"]
    for route in GUARDED:
        if route.startswith("GET"):
            answers = {
                "GET /generate/{job_id}/download": (200, 400),
                "GET /streams/{stream}/pcm": (426,),
                "GET /avatars/{avatar_id}/preview.jpg": (404,),  # of one that ships there is none
                "GET /avatars/{avatar_id}/quality": (404,),
            }
            assert send(every, route, admin).status in answers.get(route, (200,)), route
    assert send(every, "WEBSOCKET /streams/{stream}/pcm", admin).status == 101


@pytest.mark.parametrize("route", sorted(set(RULES) - set(GUARDED)))
def test_what_is_for_everybody_tells_nobody_a_secret(every: EveryRoute, route: str):
    bodies = []
    for value in (None, "guess", token(Scope.WATCH, stream=ELSEWHERE)):
        told = send(every, route, value)
        assert told.status not in (401, 403), told
        bodies.append(told.body)
    sessions = [names[key] for names in every.there.values() for key in ("session", "events") if key in names]
    assert not [hidden for hidden in [*sessions, "stun:127.0.0.1"] for body in bodies if hidden in body]


def test_options_tells_strangers_neither_servers_nor_what_is_there(every: EveryRoute):
    for path in {route.split(" ")[1] for route in RULES}:
        for filled in (every.path(path), path.replace("{", "nobody-").replace("}", "")):
            told = every.ask("OPTIONS", filled, {"Origin": "https://page.example"})
            assert told.status == 204, (filled, told)
            assert "stun:" not in told.headers.get("link", ""), filled


def test_a_session_s_address_is_enough_to_end_it(every: EveryRoute):
    for kind in ("whep", "whip"):
        path = every.path(f"/{kind}/{{stream}}/{{session}}")
        assert every.ask("DELETE", path[:-1] + ("A" if path[-1] != "A" else "B")).status == 404
        assert every.ask("DELETE", path).status == 200
        assert every.ask("DELETE", path).status == 404
