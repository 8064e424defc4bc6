"""Tokens: where the pages take them from, what they send them with, and what they ask when one is lacking."""

import pytest
from playwright.async_api import expect

from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "s3cret.token-0_1"


@pytest.mark.parametrize("given", [f"#token={TOKEN}", f"?autoplay&token={TOKEN}"])
async def test_a_token_in_the_address_goes_with_every_request_and_is_seen_nowhere(visit: Visit, given: str):
    visit.server.token = TOKEN
    logged: list[str] = []
    visit.page.on("console", lambda message: logged.append(message.text))
    await visit.open(given)
    if "autoplay" not in given:
        await visit.page.click("#start")
    await visit.state("idle")
    await visit.becomes("whepAvatar.events.up")
    await visit.page.locator("#chips button").first.click()
    await until(lambda: visit.server.requests("POST", "/streams/"), WAIT_S, "the upload")
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "candidates")
    assert TOKEN not in await visit.page.evaluate("location.href + document.body.innerHTML + history.length")

    await visit.page.reload()  # the tab remembers
    if "autoplay" not in given:
        await visit.page.click("#start")
    await visit.state("idle")
    await until(lambda: visit.server.requests("DELETE"), WAIT_S, "DELETE")
    requests = [seen for method in ("POST", "PATCH", "DELETE") for seen in visit.server.requests(method, "/")]
    assert {seen.headers.get("authorization") for seen in requests} == {f"Bearer {TOKEN}"}
    assert {seen.query for seen in visit.server.requests("GET", "/streams/")} == {f"token={TOKEN}"}
    assert not [text for text in logged if TOKEN in text]


async def test_without_a_token_nothing_is_sent_in_its_place(visit: Visit):
    await visit.start()
    await until(lambda: visit.server.requests("PATCH"), WAIT_S, "candidates")
    assert not [seen for seen in visit.server.seen if "authorization" in seen.headers or "token" in seen.query]


async def test_the_player_asks_for_the_token_that_it_lacks(visit: Visit):
    visit.server.token = TOKEN
    await visit.open()
    await visit.page.click("#start")
    await expect(visit.page.locator("#ask")).to_be_visible()
    await expect(visit.page.locator("#askWhy")).to_have_text("Whoever runs this server can give you one.")
    assert await visit.page.evaluate("document.activeElement.id") == "askToken"
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator("#reason")).to_have_text("A token is needed to watch.")

    await visit.page.click("#again")
    await visit.page.fill("#askToken", "wrong")
    await visit.page.keyboard.press("Enter")
    await expect(visit.page.locator("#askWhy")).to_have_text("A token is needed.")  # what the server says
    await visit.page.fill("#askToken", TOKEN)
    await visit.page.keyboard.press("Enter")
    await visit.state("idle")


async def test_the_publisher_page_asks_for_the_token_that_it_lacks(visit: Visit):
    visit.server.token = TOKEN
    await visit.publish()
    await visit.page.click("#talk")
    await expect(visit.page.locator("#ask")).to_be_visible()
    await visit.page.get_by_role("button", name="Not now").click()
    await expect(visit.page.locator("#headline")).to_have_text("A token is needed to speak here")

    await visit.page.get_by_role("button", name="Enter a token").click()
    await visit.page.fill("#askToken", TOKEN)
    await visit.page.get_by_role("button", name="Go on").click()
    await visit.state("on")
    assert {seen.headers.get("authorization") for seen in visit.server.requests("POST", "/whip/")} == {
        None,
        f"Bearer {TOKEN}",
    }


async def test_a_file_that_needs_a_token_is_sent_again_with_it(visit: Visit):
    await visit.start()
    visit.server.token = TOKEN
    await visit.page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"sound"})
    await expect(visit.page.locator("#ask")).to_be_visible()
    await visit.page.fill("#askToken", TOKEN)
    await visit.page.keyboard.press("Enter")
    await until(lambda: len(visit.server.requests("POST", "/streams/")) == 2, WAIT_S, "the upload with the token")
    assert visit.server.requests("POST", "/streams/")[1].headers["authorization"] == f"Bearer {TOKEN}"
