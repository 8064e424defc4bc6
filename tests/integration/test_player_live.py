"""The player on the real server: a typed sentence is seen and heard, a stop or voice ends it, a pause does no harm."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.clients.event_log import EventLog, listening
from tests.clients.server_process import Server
from tests.clients.waiting import until_page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),  # the first test waits for the idle loop to be encoded
    pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed"),
]

WAIT_S = 30.0
LONG = "This is a long story, which begins on a rainy day, and goes on, and on, until somebody stops it. " * 4
PAUSE_S = 10.0
SYNC_MS = 100
"""Not what lip-sync needs, as the machine is busy: a viewer that is not brought back is seconds off."""

PLACE = """async () => {
    const { pc, answer } = whepAvatar.client.session;
    const video = answer.split(/^m=/m).find((section) => section.startsWith("video "));
    const origin = Number(video.match(/^a=mediaclk:direct=(\\d+)/m)[1]);
    const frame = await new Promise((resolve) => {
        document.querySelector("#live").requestVideoFrameCallback((_, picture) => resolve(picture));
    });
    const tracks = [...(await pc.getStats()).values()].filter(({ type }) => type === "inbound-rtp");
    const played = Object.fromEntries(tracks.map((track) => [track.kind, track.estimatedPlayoutTimestamp]));
    return { mediaS: ((frame.rtpTimestamp - origin) >>> 0) / 90000, apartMs: played.video - played.audio };
}"""
"""The media time of the next picture that is shown, and how far sound and picture are apart."""


@pytest_asyncio.fixture(loop_scope="session")
async def player(visitors: Browser, server: Server) -> AsyncIterator[Page]:
    """The player, live, its numbers shown."""
    context = await visitors.new_context(viewport={"width": 1280, "height": 900})
    await context.grant_permissions(["microphone"], origin=server.base)
    page = await context.new_page()
    try:
        await page.goto(f"{server.base}/player/demo")
        await page.click("#start")
        await page.wait_for_selector("#stage[data-live]", timeout=WAIT_S * 1000)
        await page.keyboard.press("s")
        await until_page(page, "whepAvatar.events.up && whepAvatar.stats.audioPackets > 50")
        yield page
    finally:
        await context.close()


async def write(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


async def begins(events: EventLog, number: int = 0) -> str:
    return str((await events.wait_nth(WAIT_S, number, "speech", state="started")).data["utterance"])


async def test_a_typed_sentence_is_seen_and_heard_until_it_is_stopped(player: Page, server: Server):
    async with listening(server.base) as events:
        await write(player, LONG)
        utterance = await begins(events)
        await until_page(player, "whepAvatar.stats.firstLipMs > 0 && whepAvatar.stats.firstSoundMs > 0")
        await expect(player.locator("#caption")).to_have_text(LONG.strip())

        await player.keyboard.press("Escape")
        cut = await events.wait(WAIT_S, "speech", state="interrupted", utterance=utterance)
        assert 0 < float(str(cut.data["played_s"])) < 10
        await until_page(player, "whepAvatar.stats.shutLipMs > 0 && whepAvatar.stats.silenceMs !== null")
        await events.wait_idle(WAIT_S)
        await expect(player.locator("#stop")).to_be_hidden()
        await expect(player.locator("#caption")).to_be_hidden()

        await write(player, "And another one.")
        spoken = await begins(events, 1)
        await events.wait(WAIT_S, "speech", state="finished", utterance=spoken)
        await events.wait_idle(WAIT_S)


async def test_a_voice_cuts_the_avatar_off_in_mid_sentence_and_is_spoken_itself(player: Page, server: Server):
    async with listening(server.base) as events:
        await write(player, LONG)
        utterance = await begins(events)
        await player.click("#talk")  # the microphone hears a sentence
        await events.wait(WAIT_S, "speech", state="interrupted", utterance=utterance)
        await events.wait(WAIT_S, "speech", state="started", live=True)
        await expect(player.locator("#talkLine")).to_have_text("Nova says what you say. Press again to stop.")
        await player.click("#talk")
        await events.wait(WAIT_S, "publisher", publisher=False)
        await events.wait_idle(WAIT_S)


async def test_who_was_paused_comes_back_to_the_present_in_sync(player: Page, server: Server):
    async with listening(server.base) as events, httpx.AsyncClient(base_url=server.base, trust_env=False) as http:

        async def on_air_s() -> float:
            return float((await http.get("/streams/demo")).json()["on_air_s"])

        paused_s = (await player.evaluate(PLACE))["mediaS"]
        await player.evaluate("document.querySelector('#live').pause()")
        await http.post("/streams/demo/speech", json={"text": "This is not heard, and is not heard later, either."})
        await events.wait(WAIT_S, "speech", state="finished")
        while await on_air_s() < paused_s + PAUSE_S:  # noqa: ASYNC110  # the server's clock has no event
            await asyncio.sleep(0.2)

        await player.keyboard.press("k")
        now = await player.evaluate(PLACE)
        assert paused_s + PAUSE_S - 2 < now["mediaS"] < await on_air_s()
        async with asyncio.timeout(WAIT_S):
            while abs((await player.evaluate(PLACE))["apartMs"]) > SYNC_MS:
                pass  # each look takes a picture's time
