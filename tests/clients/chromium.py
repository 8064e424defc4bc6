"""Debian's Chromium, driven through Playwright: a page with a probe in it and real mouse clicks."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from playwright.async_api import Browser, Page, async_playwright

from bench.chromium_joins import EXECUTABLE as EXECUTABLE
from bench.chromium_joins import FLAGS as FLAGS

PROBE = Path(__file__).with_name("probe.js")
END_S = 20.0
"""How long the end of a browser is waited for."""


def microphone_flags(speech: Path) -> list[str]:
    """Flags for microphones, without any hardware, that hear a WAV file over and over."""
    return ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={speech}"]


@asynccontextmanager
async def launched(flags: Sequence[str], executable: str = EXECUTABLE) -> AsyncIterator[Browser]:
    """A Chromium of its own. Playwright's driver now and then stays, and says nothing, when the browser has gone."""
    before = {child.pid for child in psutil.Process().children()}
    playwright = await async_playwright().start()
    drivers = [child for child in psutil.Process().children() if child.pid not in before]
    try:
        browser = await playwright.chromium.launch(executable_path=executable, headless=True, args=list(flags))
        try:
            yield browser
        finally:
            await _at_last(browser.close(), drivers)
    finally:
        await _at_last(playwright.stop(), drivers)


async def _at_last(ending: Coroutine[object, object, None], drivers: Iterable[psutil.Process]) -> None:
    """Wait for it, but not for ever: a driver that is killed ends it, one way or another."""
    ended = asyncio.ensure_future(ending)
    await asyncio.wait([ended], timeout=END_S)
    if ended.done():
        await ended
        return
    for driver in drivers:
        with suppress(psutil.NoSuchProcess):
            if "run-driver" in driver.cmdline():
                driver.kill()
    await asyncio.wait([ended], timeout=END_S)
    if ended.done():
        ended.exception()  # that the driver has gone


@asynccontextmanager
async def chromium_page(url: str, *, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """A page of a fresh browser, loaded, with ``window.__probe`` in it and nothing clicked yet."""
    async with launched(FLAGS) as browser:
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.add_init_script(path=PROBE)
        await page.goto(url)
        yield page
