"""The judge of clients: a well-behaved one is green by every script, and each rule has one that turns it red.

A misbehaving client is the well-behaved one with its requests changed on their way, before the witness sees them.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import httpx
import pytest

from conformance import ProtocolName
from conformance.canned import SDP, SDPFRAG, Identity, Offer, fragment, make_offer
from conformance.check import Outcome, Severity
from conformance.checks.live_counter import answer_to
from conformance.clients.hosting import Stay, visit_of
from conformance.clients.rules import RULES, Verdict, verdicts
from conformance.clients.scripts import BY_NAME, SCRIPTS, Script, with_unknown_link
from conformance.clients.witness import Visit, Witness
from conformance.description import parse
from conformance.mock.counter_offers import CounterOffers
from conformance.mock.http import Application, Handler, Reply, Request
from conformance.mock.live_side import LiveSides
from conformance.mock.rewriting import (
    Wrap,
    both,
    headed,
    instead,
    lacking,
    patches,
    posts,
    request_changed,
    rewritten,
    sends,
    using,
)
from conformance.mock.server import MockServer, Setup
from conformance.wire import retry_after_s

TOKEN = "client-token"
HOST = "http://mock.test"


@dataclass
class Clock:
    """Time that only moves when somebody waits."""

    now_s: float = 100.0

    def now(self) -> float:
        self.now_s += 0.01
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class Client:
    """Does everything right."""

    http: httpx.AsyncClient
    protocol: ProtocolName
    wait: Callable[[float], None]
    token: str | None = TOKEN
    offer: Offer = field(init=False)

    def __post_init__(self) -> None:
        self.offer = make_offer(self.protocol)

    async def ask(self, method: str, url: httpx.URL, body: str = "", **headers: str | None) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        bearer = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return await self.http.request(method, url, content=body, headers=bearer | names)

    async def run(self, path: str) -> None:
        reply = await self.post(httpx.URL(f"{HOST}{path}"))
        for _ in range(2):
            if reply.status_code in (409, 499):
                self.wait(retry_after_s(reply) or 5)
                reply = await self.post(httpx.URL(f"{HOST}{path}"))
        if "location" not in reply.headers:
            return
        session = reply.request.url.join(reply.headers["location"])
        if reply.status_code == 406:
            answer = answer_to(parse(reply.text), Identity(), "1 1 udp 1 192.0.2.1 5000 typ host", "active")
            await self.ask("PATCH", session, answer, content_type=SDP)
        else:
            await self.trickle(session, reply.headers["etag"])
        await self.ask("DELETE", session)

    async def post(self, url: httpx.URL) -> httpx.Response:
        reply = await self.ask("POST", url, self.offer.text, content_type=SDP)
        return await self.post_again(reply) if reply.status_code == 307 else reply

    async def post_again(self, reply: httpx.Response) -> httpx.Response:
        body = reply.request.content.decode()
        return await self.ask("POST", reply.request.url.join(reply.headers["location"]), body, content_type=SDP)

    async def trickle(self, session: httpx.URL, etag: str) -> None:
        await self.ask("PATCH", session, fragment(self.offer), content_type=SDPFRAG, if_match=etag)
        restarted = fragment(self.offer, identity=self.offer.identity.restarted())
        await self.ask("PATCH", session, restarted, content_type=SDPFRAG, if_match="*")


async def visited(
    protocol: ProtocolName,
    script: Script,
    sin: Wrap = lambda handler: handler,
    *,
    token: str | None = TOKEN,
    hasty: bool = False,
) -> dict[str, Verdict]:
    """The verdicts on a client by rule, with its requests changed by ``sin``."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        handler = MockServer(Setup(protocol, token=token, strict=script.strict)).handle
        if script.counters:
            handler = CounterOffers(handler, await stack.enter_async_context(LiveSides())).handle
        wrap = script.wrap if script.name != "late" else (lambda handler: handler)
        witness = Witness(with_unknown_link(wrap(handler)), clock.now)
        transport = httpx.ASGITransport(Application(sin(witness.handle)))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, trust_env=False))
        await Client(http, protocol, (lambda _: None) if hasty else clock.wait, token).run(script.path)
        visit = Visit(protocol, script.name, token, tuple(witness.steps))
    return {verdict.rule.id: verdict for verdict in verdicts(visit)}


def also(when: Callable[[Request, Reply], bool], extra: Callable[[Request], Request]) -> Wrap:
    """Ask something more after some replies."""

    def wrap(handler: Handler) -> Handler:
        async def handle(request: Request) -> Reply:
            reply = await handler(request)
            if when(request, reply):
                await handler(extra(request))
            return reply

        return handle

    return wrap


def to(path: str, method: str) -> Callable[[Request], Request]:
    """The same request elsewhere."""
    return lambda request: replace(request, path=path, method=method)


def inactive(request: Request) -> Request:
    """An offer that wants nothing."""
    return rewritten("a=recvonly", "a=inactive")(rewritten("a=sendonly", "a=inactive")(request))


WITH_RESTART = both(patches(), sends("if-match", "*"))
WITH_TAG = both(patches("a=candidate"), lacking(sends("if-match", "*")))
SECOND_SECTION = "a=candidate", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=candidate"
SINS: list[tuple[str, str, Wrap]] = [
    ("K-01", "plain", request_changed(headed("Content-Type", "text/plain"), posts())),
    ("K-02", "plain", request_changed(rewritten("v=0", "x"), posts())),
    ("K-02", "plain", request_changed(rewritten("a=mid:1", "a=x:1"), posts())),
    ("K-03", "plain", request_changed(inactive, posts())),
    ("K-04", "plain", request_changed(rewritten("BUNDLE 0 1", "BUNDLE 0"), posts())),
    ("K-04", "plain", request_changed(rewritten("a=rtcp-mux-only\r\n", ""), posts())),
    ("K-05", "plain", request_changed(rewritten("a=msid:conformance video", "a=msid:other video"), posts())),
    ("K-06", "plain", request_changed(rewritten("setup:actpass", "setup:passive"), posts())),
    ("K-07", "plain", request_changed(rewritten("a=group", "a=ice-lite\r\na=group"), posts())),
    ("K-07", "plain", request_changed(rewritten("a=fingerprint", "a=x"), posts())),
    ("K-09", "plain", instead(using("DELETE"), Reply(200))),
    ("K-10", "plain", request_changed(headed("If-Match", '"x"'), using("DELETE"))),
    ("K-11", "plain", request_changed(headed("Authorization", None), using("DELETE"))),
    ("K-11", "strict", request_changed(headed("Authorization", f"bearer {TOKEN}x"), patches())),
    ("K-12", "relative", request_changed(lambda asked: replace(asked, path=f"/live{asked.path}"), using("DELETE"))),
    ("K-15", "plain", also(lambda asked, _: asked.method == "DELETE", to("/unknown", "GET"))),
    ("K-15", "plain", also(lambda asked, reply: reply.status == 201, lambda asked: asked)),
    ("K-16", "plain", request_changed(headed("Content-Type", "application/json"), patches())),
    ("K-16", "plain", request_changed(lambda asked: replace(asked, body=b'{"candidate": ""}'), patches())),
    ("K-17", "plain", request_changed(headed("If-Match", None), WITH_TAG)),
    ("K-17", "strict", request_changed(headed("If-Match", '"old"'), WITH_TAG)),
    ("K-18", "plain", request_changed(rewritten(*SECOND_SECTION), patches())),
    ("K-19", "late", also(lambda asked, reply: reply.status == 204, lambda asked: asked)),
    ("K-20", "plain", request_changed(headed("If-Match", None), WITH_RESTART)),
    ("K-20", "plain", request_changed(rewritten("a=ice-pwd", "a=x"), WITH_RESTART)),
    (
        "K-21",
        "redirect",
        request_changed(
            lambda asked: replace(asked, method="GET", body=b""), both(posts(), lambda asked: asked.path == "/live")
        ),
    ),
    ("K-22", "odd-status", also(lambda _, reply: reply.status == 499, to("/live/s/none", "PATCH"))),
    ("K-24", "plain-406", also(lambda _, reply: reply.status == 406, to("/live/s/none", "PATCH"))),
    ("K-25", "counter-offer", request_changed(rewritten("a=recvonly", "a=sendrecv"), patches("v=0"))),
    ("K-25", "counter-offer", instead(patches("v=0"), Reply(204))),
]
SIN_CASES = [
    (rule_id, BY_NAME[name], sin, protocol)
    for rule_id, name, sin in SINS
    for protocol in sorted(next(rule.protocols for rule in RULES if rule.id == rule_id))
]
GOOD_CASES = [
    (protocol, script)
    for protocol in ("whep", "whip")
    for script in SCRIPTS
    if protocol == "whep" or not script.whep_only
]


@pytest.mark.parametrize(("protocol", "script"), GOOD_CASES, ids=[f"{case[0]}-{case[1].name}" for case in GOOD_CASES])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "open"])
async def test_a_client_that_does_everything_right_is_green(
    protocol: ProtocolName, script: Script, token: str | None
) -> None:
    found = await visited(protocol, script, token=token)
    assert not [(verdict.rule.id, verdict.observed) for verdict in found.values() if verdict.outcome.red]


@pytest.mark.parametrize(
    ("rule_id", "script", "sin", "protocol"),
    SIN_CASES,
    ids=[f"{case[0]}-{case[3]}-{number}" for number, case in enumerate(SIN_CASES)],
)
async def test_a_client_that_does_something_wrong_is_noticed(
    rule_id: str, script: Script, sin: Wrap, protocol: ProtocolName
) -> None:
    verdict = (await visited(protocol, script, sin))[rule_id]
    assert verdict.outcome.red, f"{verdict.outcome}: {verdict.observed}"


async def test_authorization_where_no_token_is_set_is_noticed() -> None:
    sin = request_changed(headed("Authorization", "Bearer undefined"), posts())
    assert (await visited("whip", BY_NAME["plain"], sin, token=None))["K-11"].outcome is Outcome.FAIL


async def test_a_preflight_needs_no_token() -> None:
    preflight = Request(
        "OPTIONS", "/live", (("Origin", "https://x.example"), ("Access-Control-Request-Method", "POST")), b""
    )
    asked = also(lambda asked, _: asked.method == "DELETE", lambda _: preflight)
    assert (await visited("whep", BY_NAME["plain"], asked))["K-11"].outcome is Outcome.PASS


async def test_a_player_that_does_not_wait_for_retry_after_is_noticed() -> None:
    assert (await visited("whep", BY_NAME["busy"], hasty=True))["K-23"].outcome is Outcome.WARN


async def test_each_script_asks_what_it_is_for() -> None:
    asked = {
        "late": "K-19",
        "redirect": "K-21",
        "odd-status": "K-22",
        "busy": "K-23",
        "plain-406": "K-24",
        "counter-offer": "K-25",
    }
    for name, rule_id in asked.items():
        assert (await visited("whep", BY_NAME[name]))[rule_id].outcome is Outcome.PASS, name


def test_every_rule_that_can_be_broken_has_a_client_that_breaks_it() -> None:
    breakable = {rule.id for rule in RULES if rule.severity is not Severity.INFO}
    assert breakable == {rule_id for rule_id, *_ in SINS} | {"K-23"}


STAY = Stay(arrive_s=20, stay_s=20, quiet_s=0.3, after_s=0.05)


async def hosted(leaves: bool) -> Visit:
    """A visit to the mock on a real port, by a client that ends its session or just goes."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group, httpx.AsyncClient(trust_env=False) as http:
        visit = group.create_task(visit_of("whip", BY_NAME["plain"], None, STAY, 0, told.set_result))
        client = Client(http, "whip", lambda _: None, token=None)
        reply = await client.post(httpx.URL(await told))
        if leaves:
            await client.ask("DELETE", reply.request.url.join(reply.headers["location"]))
        return await visit


@pytest.mark.parametrize(("leaves", "outcome"), [(True, Outcome.PASS), (False, Outcome.FAIL)])
async def test_a_visit_ends_with_the_clients_delete_or_when_it_has_left(leaves: bool, outcome: Outcome) -> None:
    visit = await hosted(leaves)
    assert {verdict.rule.id: verdict.outcome for verdict in verdicts(visit)}["K-09"] is outcome
    assert not visit.connected


async def test_where_nobody_comes_the_visit_is_empty() -> None:
    visit = await visit_of("whep", BY_NAME["plain"], None, Stay(arrive_s=0.05), 0, lambda _: None)
    assert not visit.steps
