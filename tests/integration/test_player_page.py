"""The player's connection: what it asks of a server, and what it does when the server misbehaves on purpose."""

import pytest
from playwright.async_api import expect

from tests.clients.scripted_whep import Answer, problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


# the protocol


async def test_one_click_plays_and_one_aggregated_patch_names_the_etag(visit: Visit):
    await visit.start()
    await visit.picture()
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "candidates")

    post, patch = visit.server.requests("POST")[0], visit.server.requests("PATCH")[0]
    assert post.headers["content-type"] == "application/sdp"
    assert b"a=recvonly" in post.body
    assert b"a=candidate" not in post.body
    assert patch.path == "/whep/demo/session1"
    assert patch.headers["if-match"] == '"session1-tag"'
    assert patch.headers["content-type"] == "application/trickle-ice-sdpfrag"
    assert patch.body.count(b"m=") == 1
    assert b"a=ice-ufrag:" in patch.body
    assert b"a=candidate:" in patch.body
    assert len(visit.server.requests("PATCH")) == 1


async def test_a_server_that_takes_no_patch_is_offered_all_candidates_next_time(visit: Visit):
    visit.server.whep.patch = Answer(405, {"Allow": "DELETE"})
    await visit.start()
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "the refused PATCH")

    await visit.server.cut_media()
    await until(lambda: len(visit.server.requests("POST")) == 2, WAIT_S, "the next offer")
    await visit.state("idle")

    assert b"a=candidate" in visit.server.requests("POST")[1].body
    assert len(visit.server.requests("PATCH")) == 1


async def test_a_redirected_session_belongs_to_the_server_that_answered(visit: Visit):
    visit.server.whep.posts.append(Answer(307, {"Location": "/whep/elsewhere"}))
    visit.server.whep.extra = {"Location": "elsewhere/session2"}  # relative to the address that answered
    await visit.start()

    await visit.page.goto("about:blank")
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "DELETE")
    assert visit.server.requests("DELETE")[0].path == "/whep/elsewhere/session2"


async def test_ice_servers_of_the_answer_are_used_for_the_same_session(visit: Visit):
    visit.server.whep.extra = {
        "Link": '<turn:127.0.0.1:9?transport=udp>; rel="ice-server"; username="u"; credential="c,d"'
    }
    await visit.start()

    servers = await visit.page.evaluate("whepAvatar.client.session.pc.getConfiguration().iceServers")
    assert [(server["urls"], server["username"], server["credential"]) for server in servers] == [
        (["turn:127.0.0.1:9?transport=udp"], "u", "c,d")
    ]


async def test_leaving_the_page_deletes_the_session(visit: Visit):
    await visit.start()
    await visit.page.goto("about:blank")
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "DELETE")
    assert visit.server.requests("DELETE")[0].path == "/whep/demo/session1"


async def test_coming_back_to_the_page_plays_again(visit: Visit):
    await visit.start()
    await visit.page.goto("about:blank")
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "DELETE")

    await visit.page.go_back()
    if await visit.page.locator("#start").is_visible():  # not kept alive by the browser: a page like any other
        await visit.page.click("#start")
    await visit.state("idle")
    await visit.picture()


# when it does not go well


async def test_a_busy_server_is_asked_again_when_it_said(visit: Visit):
    visit.server.whep.posts.extend([problem(503, "starting", Retry_After="1"), problem(409, "soon", Retry_After="1")])
    await visit.open()
    await visit.page.click("#start")
    await visit.state("reconnecting")
    assert await visit.page.evaluate("whepAvatar.lost.waitMs") >= 1000

    await visit.state("idle")
    assert len(visit.server.requests("POST")) == 3


async def test_a_stream_not_on_air_is_offline_soon_and_the_face_stays(visit: Visit):
    visit.server.whep.refusing = problem(404, "no stream of that name")
    await visit.open()
    await visit.page.click("#start")
    await visit.state("offline")

    assert len(visit.server.requests("POST")) == 3
    assert await visit.page.inner_text("#reason") == "Nova is not on air right now."
    await visit.loop()

    visit.server.whep.refusing = None
    await visit.page.click("#again")
    await visit.state("idle")
    await visit.picture()


async def test_a_refusal_that_will_not_change_is_not_repeated(visit: Visit):
    visit.server.whep.refusing = problem(422, "no codec in common")
    await visit.open()
    await visit.page.click("#start")
    await visit.state("offline")
    assert len(visit.server.requests("POST")) == 1
    assert await visit.page.inner_text("#reason") == "no codec in common"


async def test_a_lost_connection_shows_the_loop_and_comes_back(visit: Visit):
    await visit.start()
    await visit.picture()
    visit.server.whep.posts.append(problem(503, "restarting", Retry_After="2"))

    await visit.server.cut_media()
    await visit.state("reconnecting")
    await visit.loop()
    await visit.state("idle")
    await visit.picture()
    assert [seen.path for seen in visit.server.requests("DELETE")] == ["/whep/demo/session1"]


async def test_a_server_that_stays_away_is_given_up_and_its_return_is_noticed(visit: Visit):
    await visit.start()
    await visit.page.evaluate("whepAvatar.client.random = () => -1")  # waits of no length: every try at once
    visit.server.whep.refusing = problem(502, "gone")
    visit.server.no_events = problem(502, "gone")
    visit.server.cut_events()
    await visit.server.cut_media()
    await visit.state("offline")
    assert await visit.page.inner_text("#reason") == "The connection was lost."
    await visit.loop()

    visit.server.whep.refusing = visit.server.no_events = None
    await visit.state("idle")
    await visit.picture()


async def test_a_network_that_is_up_again_is_reason_to_try(visit: Visit):
    visit.server.whep.refusing = problem(404, "no stream of that name")
    await visit.open()
    await visit.page.click("#start")
    await visit.state("offline")

    visit.server.whep.refusing = None
    await visit.page.evaluate("dispatchEvent(new Event('online'))")
    await visit.state("idle")


# sound


async def test_sound_refused_by_the_browser_is_offered_by_a_tap(visit: Visit):
    await visit.open("?autoplay")
    # Nothing is asked of the page until it has had its try: what Playwright evaluates counts as a gesture.
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "candidates")
    await expect(visit.page.locator("#sound")).to_be_visible()
    assert await visit.page.evaluate("document.querySelector('#live').muted")
    await visit.picture()

    await visit.page.click("#sound")
    await expect(visit.page.locator("#sound")).to_be_hidden()
    assert not await visit.page.evaluate("document.querySelector('#live').muted")
    assert not await visit.page.evaluate("document.querySelector('#live').paused")


async def test_the_mute_button_and_its_key_agree(visit: Visit):
    await visit.start()
    mute = visit.page.locator("#mute")
    await mute.click()
    await expect(mute).to_have_attribute("aria-label", "Sound on")
    await expect(visit.page.locator("#sound")).to_be_hidden()  # it was this person's wish
    await visit.page.keyboard.press("m")
    await expect(mute).to_have_attribute("aria-label", "Mute")
