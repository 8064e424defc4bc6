"""The landing page: what is on air, and how to watch it."""

import pytest
from playwright.async_api import expect

from tests.clients.visit import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


def stream(**changed: object) -> dict[str, object]:
    return {
        "name": "demo",
        "avatar": "nova",
        "title": "Nova",
        "state": "idle",
        "width": 1280,
        "height": 720,
        "fps": 25,
        "codecs": ["H264", "VP8"],
        "viewers": 0,
        "queued": 0,
        "on_air_s": 1.0,
        "whep": "/whep/demo",
        "player": "/player/demo",
    } | changed


async def test_the_landing_page_follows_what_is_on_air(visit: Visit):
    visit.server.streams = [stream()]
    await visit.page.goto(visit.server.base)
    card = visit.page.locator(".card")
    await expect(card).to_contain_text("Listening")
    await expect(card).to_contain_text("H.264")
    await expect(visit.page.locator("#whep")).to_have_text(f"{visit.server.base}/whep/demo")
    await visit.becomes("document.querySelector('.card img').naturalWidth > 0")

    visit.server.streams = [stream(state="speaking", viewers=1), stream(name="two", title="Two", whep="/whep/two")]
    await expect(card.first).to_contain_text("Speaking")
    await expect(card.first).to_contain_text("1 watching")
    await card.nth(1).get_by_role("button").click()
    await expect(visit.page.locator("#whep")).to_have_text(f"{visit.server.base}/whep/two")

    visit.server.streams = []
    await expect(visit.page.locator("#nothing")).to_be_visible()


async def test_a_card_leads_to_the_player(visit: Visit):
    visit.server.streams = [stream()]
    await visit.page.goto(visit.server.base)
    await visit.page.click(".card", position={"x": 60, "y": 120})  # on the picture, far from any text
    await visit.page.wait_for_url("**/player/demo")
