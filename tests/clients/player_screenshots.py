"""Pictures for the docs, in Chromium while the face speaks: our player with its numbers, two WHEP players of others.

python -m tests.clients.player_screenshots
"""

import asyncio
import os
from pathlib import Path
from unittest.mock import patch

from playwright.async_api import Page

from tests.clients.chromium import chromium_page
from tests.clients.event_log import listening, speak
from tests.clients.peer_table import in_browser
from tests.clients.peers import run
from tests.clients.player_page import PLAY
from tests.clients.server_process import ROOT, Server, running_server
from tests.clients.speech_files import sentence
from tests.clients.waiting import until_page

FOLDER = ROOT / "docs" / "images"
TYPED = "typed.jpg"
PICTURES = "60"
"""The first seconds of the sentence are over by then, and its last are not."""
LIMIT_S = 60.0
LIBRARIES = {"whip-whep": "whip-whep.jpg", "@eyevinn/webrtc-player": "eyevinn-webrtc-player.jpg"}

FIRST = "Once upon a time there was a story which nobody ever heard to its end, because somebody"
SECOND = "Of course. The library opens at nine, and the first tour begins at ten."
MEASURED = "whepAvatar.stats.{0}LipMs > 0 && whepAvatar.stats.{1}Ms > 0"


async def write(page: Page, text: str) -> None:
    """Type a sentence, as a person does."""
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


async def take_typed(server: Server, path: Path) -> None:
    """A sentence is stopped, and the next one answers: what both took stands in the numbers."""
    async with listening(server.base) as events, chromium_page(f"{server.base}/player/demo") as page:
        await page.click(PLAY)
        await page.keyboard.press("s")
        await until_page(page, "whepAvatar.events.up && whepAvatar.stats.audioPackets > 100")
        await events.wait_idle(LIMIT_S)
        await write(page, FIRST)
        await until_page(page, "document.querySelector('#live').currentTime > 4")
        await until_page(page, MEASURED.format("first", "firstSound"))
        await page.keyboard.press("Escape")
        await until_page(page, MEASURED.format("shut", "silence"))
        await events.wait_idle(LIMIT_S)

        await write(page, SECOND)
        await page.type("#text", "And how do I get there?", delay=60)
        await events.wait_nth(LIMIT_S, 1, "speech", state="started")
        await until_page(page, MEASURED.format("first", "firstSound"))
        await until_page(
            page, "[...document.querySelectorAll('#stats dd')].every(({ textContent }) => textContent !== '–')"
        )
        await page.screenshot(path=path, quality=90)
        await events.wait(LIMIT_S, "speech", state="finished")


async def take(server: Server, library: str, name: str) -> None:
    """Have the sentence spoken to one player, and keep what it shows."""
    async with listening(server.base) as events:
        await events.wait_idle(LIMIT_S)
        await speak(server.base, sentence().wav)
        with patch.dict(os.environ, {"SCREENSHOT": str(FOLDER / name)}):
            await run(in_browser("chromium", library)(server.whep(), PICTURES), LIMIT_S)
        await events.wait(LIMIT_S, "speech", state="finished")


def main() -> None:
    with running_server() as server:
        asyncio.run(take_typed(server, FOLDER / TYPED))
        print(f"{FOLDER / TYPED}")
        for library, name in LIBRARIES.items():
            asyncio.run(take(server, library, name))
            print(f"{FOLDER / name}")


if __name__ == "__main__":
    main()
