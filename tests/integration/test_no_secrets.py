"""No secret is in any log, error, measurement or description, whatever is sent: a server with every secret set.

The server logs all it can, its worker's lines among it. Secrets are sent where they belong and where they do not: in
headers, queries, subprotocols, paths, names of files, and in the middle of bodies that cannot be read.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.clients.every_route import (
    FOREIGN,
    PUBLISHER,
    SDP,
    SECRET,
    VIEWER,
    EveryRoute,
    Told,
    bearer,
    every_route,
    offered,
    token,
)
from tests.clients.waiting import until_now
from whep_server.signaling.tokens import Scope
from whep_server.web.pcm_messages import SUBPROTOCOL
from whep_server.web.permissions import RULES, WEBSOCKET

pytestmark = pytest.mark.timeout(400)

CONFIGURED = {
    "watch_token": "watch-hush-1",
    "publish_token": "publish-hush-2",
    "turn_user": "turner",
    "turn_pass": "turn-hush-3",
    "turn_secret": "shared-hush-4",
    "tts_key": "speech-hush-5",
}
NOBODY = {"turn_urls": "turn:127.0.0.1:9?transport=tcp", "tts_url": "http://127.0.0.1:9/v1"}
"""What is not there is told the secrets all the same."""
LOST = "lost-hush-6"
"""What stands in bodies that cannot be read."""
PASSWORD = re.compile(r"a=ice-pwd:(\S+)")


@dataclass
class Traffic:
    """What was sent to a server that it must keep to itself, and what it answered."""

    every: EveryRoute
    hushed: set[str]
    answers: list[tuple[str, Told]] = field(default_factory=list)

    def send(self, route: str, headers: dict[str, str], query: str = "", **body: object) -> Told:
        method, path = route.split(" ")
        told = self.every.ask(method, self.every.path(path), headers, query, **body)
        self.hushed |= set(re.findall(r'credential="([^"]+)"', told.headers.get("link", "")))
        if told.status < 400:
            self.hushed |= set(PASSWORD.findall(told.body))
        self.answers.append((route, told))
        return told

    def session(self, kind: str, offer: str, headers: dict[str, str]) -> str:
        """A session's path, by a good offer."""
        self.hushed |= set(PASSWORD.findall(offer))
        told = self.send(f"POST /{kind}/{{stream}}", {**SDP, **headers}, content=offer)
        assert told.status == 201, told
        self.hushed.add(told.headers["location"].rpartition("/")[2])
        return told.headers["location"]


def bodies() -> Iterator[dict[str, object]]:
    """Those that cannot be read, and hold what must not be repeated."""
    yield {"content": f'{{"name": "{LOST}", "sdp": "{LOST}", "text": "{LOST}"', "headers": "application/json"}
    yield {"content": f"v=0\r\na=ice-pwd:{LOST}\x01\r\n", "headers": "application/sdp"}
    yield {"content": f"a=ice-pwd:{LOST}\x01\r\n", "headers": "application/trickle-ice-sdpfrag"}
    yield {"content": f"m=audio 9 X 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{LOST}\xff\r\n", "headers": SDP["Content-Type"]}
    yield {"files": {name: (f"{LOST}.wav", LOST.encode(), f"audio/{LOST}") for name in ("audio_file", "video_file")}}
    yield {"content": f"RIFF{LOST}" * 20, "headers": "audio/wav"}


def talk(traffic: Traffic) -> None:
    """A great deal of it, good and bad."""
    admin = token(Scope.ADMIN)
    wrong = [token(Scope.WATCH, left_s=-60), token(Scope.ADMIN, secret=FOREIGN), admin[:-3] + "abc", "guess-hush-7"]
    fixed = [CONFIGURED["watch_token"], CONFIGURED["publish_token"]]
    for each in (*wrong, *fixed, token(Scope.PUBLISH, stream="another")):
        traffic.hushed |= {each, offered(each)}
        for route in RULES:
            if each in wrong or route.startswith("GET"):  # what is good is not to delete what is there
                traffic.send(route, bearer(each))
                traffic.send(route, {}, f"token={each}")
            if route.startswith(WEBSOCKET):
                traffic.send(route, {"Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, {offered(each)}"})
    traffic.hushed.add(admin)
    for route in (route for route in RULES if route.startswith(("POST", "PATCH"))):
        for body in bodies():
            kind = {"Content-Type": str(body["headers"])} if "headers" in body else {}
            content = {name: value for name, value in body.items() if name != "headers"}
            traffic.send(route, {**bearer(admin), **kind}, **content)
    for name in (admin, wrong[0]):
        for path in (
            "/whep/{}",
            "/streams/{}",
            "/player/{}",
            "/assets/{}",
            "/chunks/{}/{}",
            "/no/such/{}",
            "/avatars/{}",
        ):
            for method in ("GET", "POST", "DELETE", "PUT"):
                told = traffic.every.ask(method, path.replace("{}", name), {"Referer": f"https://a.example/?{admin}"})
                traffic.answers.append((f"{method} {path}", told))
    path = traffic.session("whep", VIEWER, bearer(admin))
    assert traffic.every.ask("DELETE", path, bearer(wrong[0])).status in (200, 401)
    text = {**bearer(admin), "Content-Type": "text/plain"}
    assert traffic.send("POST /streams/{stream}/speech", text, content="Hello.").status in (409, 503)


@pytest.mark.parametrize("as_json", ["true", "false"])
def test_nothing_that_was_to_be_kept_is_anywhere(as_json: str):
    settings = {**CONFIGURED, **NOBODY, "log_json": as_json, "log_level": "DEBUG"}
    with every_route(f"no-secrets-{as_json}", **settings) as every:
        traffic = Traffic(every, {SECRET.key, *CONFIGURED.values(), LOST} - {CONFIGURED["turn_user"]})
        traffic.hushed |= set(PASSWORD.findall(VIEWER + PUBLISHER))
        here = {(start, key): name for start, names in every.there.items() for key, name in names.items()}
        ids = {name for (_, key), name in here.items() if key in ("session", "events", "session_id")}
        talk(traffic)
        shown = [every.http.get("/openapi.json").text, every.http.get("/docs").text]
        shown.append(every.http.get("/metrics", headers=bearer(token(Scope.ADMIN))).raise_for_status().text)
        pages = [told.body for route, told in traffic.answers if "player" in route or "publish" in route]
        every.server.worker().kill()
        until_now(lambda: "the worker is lost" in every.server.log.read_text(), 20, "its loss in the log")
    log = every.server.log.read_text()
    kept = traffic.hushed
    assert len(kept) > 20 and len(traffic.answers) > 900
    assert {told.status for _, told in traffic.answers} >= {200, 201, 400, 401, 403, 404, 405, 415, 422}
    assert not [told for _, told in traffic.answers if told.status >= 500 and told.status != 503]
    assert not [secret for secret in kept | ids if secret in log]
    assert not re.search(r"v=0(\r|\\r)|a=ice-|a=candidate|a=fingerprint|BEGIN ", log)
    assert not [(secret, where[:200]) for secret in kept | ids for where in shown if secret in where]
    assert not [secret for secret in kept for page in pages if secret in page]
    for route, told in traffic.answers:
        if told.status >= 400:
            said = f"{told.body} {dict(told.headers)}"
            assert not [secret for secret in kept if secret in said], (route, told)
    if as_json == "true":
        assert all(isinstance(json.loads(line), dict) for line in log.splitlines() if line.startswith("{"))
