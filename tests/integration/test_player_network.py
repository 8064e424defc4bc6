"""What the player does when its network changes or the server wishes: an ICE restart, a new session, another place."""

import pytest

from tests.clients.scripted_whep import Answer, attribute, problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NETWORK_CHANGED = "dispatchEvent(new Event('online'))"
EVENTS_LINK = (
    '</whep/demo/session1/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,reconnect", '
    '<https://elsewhere.example/>; rel="urn:example:unknown"'
)


def restarted() -> Answer:
    """What a server says that did restart, at an address where nobody is."""
    lines = ["a=ice-ufrag:newufrag", f"a=ice-pwd:{'n' * 24}", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0"]
    lines += ["a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", "a=end-of-candidates"]
    headers = {"Content-Type": "application/trickle-ice-sdpfrag", "ETag": '"restarted-tag"'}
    return Answer(200, headers, "".join(f"{line}\r\n" for line in lines).encode())


async def watch(visit: Visit) -> None:
    """Play until there is a picture and the candidates are sent."""
    await visit.start()
    await visit.picture()
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "candidates")


async def test_a_changed_network_restarts_ice_in_the_session_it_has(visit: Visit):
    visit.server.whep.restart = restarted()
    await watch(visit)
    await visit.page.evaluate("window.session = whepAvatar.client.session")
    await visit.page.evaluate(NETWORK_CHANGED)
    await until(lambda: len(visit.server.requests("PATCH")) == 2, WAIT_S, "the restart")

    trickled, restart = visit.server.requests("PATCH")
    assert (trickled.headers["if-match"], restart.headers["if-match"]) == ('"session1-tag"', "*")
    assert restart.headers["content-type"] == "application/trickle-ice-sdpfrag"
    before, after = trickled.body.decode(), restart.body.decode()
    assert attribute(before, "ice-ufrag") != attribute(after, "ice-ufrag")
    assert attribute(before, "ice-pwd") != attribute(after, "ice-pwd")
    assert "a=candidate:" in after
    assert after.count("m=") == 1
    await visit.becomes("session.pc.remoteDescription.sdp.includes('a=ice-ufrag:newufrag')")
    assert await visit.page.evaluate("session.wire.etag") == '"restarted-tag"'
    assert await visit.page.evaluate("session.pc.remoteDescription.sdp.split('a=ice-ufrag:newufrag').length - 1") == 2


async def test_a_refused_restart_leaves_the_connection_as_it_is(visit: Visit):
    await watch(visit)
    await visit.page.evaluate(NETWORK_CHANGED)
    await until(lambda: len(visit.server.requests("PATCH")) == 2, WAIT_S, "the restart")
    await visit.becomes("whepAvatar.client.session.pc.signalingState === 'stable'")  # rolled back
    await visit.state("idle")

    await visit.page.evaluate(NETWORK_CHANGED)
    await visit.becomes("whepAvatar.readStats().then(({ framesDecoded }) => (window.seen = framesDecoded))")
    await visit.becomes("whepAvatar.readStats().then(({ framesDecoded }) => framesDecoded > seen + 10)")
    assert len(visit.server.requests("PATCH")) == 2  # it said that it does not restart
    assert len(visit.server.requests("POST", "/whep/demo")) == 1


@pytest.mark.parametrize("answer", [restarted(), problem(422, "no restarts"), Answer(204)])
async def test_a_restart_that_brings_nothing_is_a_new_session_under_the_last_picture(visit: Visit, answer: Answer):
    visit.server.whep.restart = answer
    await watch(visit)
    await visit.page.evaluate(
        """() => {
            window.seen = [];
            const stage = document.querySelector("#stage");
            const note = () => seen.push(["data-held", "data-live"].filter((name) => stage.hasAttribute(name)).join());
            new MutationObserver(note).observe(stage, { attributeFilter: ["data-held", "data-live"] });
        }"""
    )
    await visit.server.vanish()
    await until(lambda: len(visit.server.requests("POST", "/whep/demo")) == 2, WAIT_S, "the next offer")
    await visit.state("idle")
    await visit.picture()

    assert "" not in await visit.page.evaluate("seen")  # the idle loop was never what was seen
    assert [seen.headers["if-match"] for seen in visit.server.requests("PATCH")[:2]] == ['"session1-tag"', "*"]
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "the end of the first session")
    assert [seen.path for seen in visit.server.requests("DELETE")] == ["/whep/demo/session1"]


async def test_a_server_that_ends_the_session_is_not_asked_to_restart_it(visit: Visit):
    await watch(visit)
    await visit.server.cut_media()
    await until(lambda: len(visit.server.requests("POST", "/whep/demo")) == 2, WAIT_S, "the next offer")
    await visit.state("idle")
    assert "*" not in [seen.headers["if-match"] for seen in visit.server.requests("PATCH")]


async def test_the_server_may_send_a_player_elsewhere(visit: Visit):
    visit.server.whep.extra = {"Link": EVENTS_LINK}
    await watch(visit)
    await until(lambda: visit.server.requests("GET"), WAIT_S, "listening")
    asked = next(seen for seen in visit.server.requests("POST") if seen.path.endswith("/events"))
    assert (asked.headers["content-type"], asked.body) == ("application/json", b'["reconnect"]')

    visit.server.whep.extra = {}
    visit.server.tell("reconnect", url="/whep/elsewhere")
    await until(lambda: visit.server.requests("POST", "/whep/elsewhere"), WAIT_S, "the offer elsewhere")
    await visit.state("idle")
    await visit.picture()
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "the end of the first session")
    assert await visit.page.evaluate("whepAvatar.lost.waitMs") == 0


async def test_a_server_may_make_the_offer_itself(visit: Visit):
    visit.server.whep.counters = True
    await visit.start()
    await visit.picture()

    (answer,) = visit.server.requests("PATCH")
    assert answer.headers["content-type"] == "application/sdp"
    directions = [
        line for line in answer.body.decode().splitlines() if line in ("a=recvonly", "a=sendrecv", "a=sendonly")
    ]
    assert directions == ["a=recvonly", "a=recvonly"]
    await visit.page.goto("about:blank")
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "DELETE")


async def test_a_406_without_an_offer_is_a_refusal(visit: Visit):
    visit.server.whep.refusing = problem(406, "nothing for you")
    await visit.open()
    await visit.page.click("#start")
    await visit.state("offline")
    assert len(visit.server.requests("POST")) == 1
