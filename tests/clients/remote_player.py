"""Chromium on the built-in player of a server that is on another host of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from playwright.async_api import Page

from tests.clients.chromium import FLAGS, PROBE, launched
from tests.clients.player_page import PLAY
from tests.clients.waiting import until_page

WAIT_MS = 120_000


@asynccontextmanager
async def playing(base: str, *hosts: str, script: str = "") -> AsyncIterator[Page]:
    """The player's page, which has played for a second; ``script`` ran there before anything else.

    ``hosts`` are others than the server's that the browser may call over TCP.
    """
    flags = [flag for flag in FLAGS if not flag.startswith("--host-resolver-rules")]
    allowed = ", ".join(f"EXCLUDE {host}" for host in (urlsplit(base).hostname, *hosts))
    rules = f"--host-resolver-rules=MAP * ~NOTFOUND, {allowed}"
    async with launched([*flags, rules]) as browser:
        page = await browser.new_page()
        await page.add_init_script(script=script + PROBE.read_text())
        await page.goto(f"{base}/player/demo", timeout=WAIT_MS)
        await page.click(PLAY)
        await until_page(page, "document.querySelector('#live').currentTime > 1", WAIT_MS / 1000)
        yield page


async def shown(page: Page, pictures: int) -> int:
    """Wait for so many more pictures; how many there are then."""
    count = int(await page.evaluate("__probe.frames.length")) + pictures
    await until_page(page, f"__probe.frames.length >= {count}", WAIT_MS / 1000)
    return count
