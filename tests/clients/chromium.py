"""Debian's Chromium, driven through Playwright: a page with a probe in it and real mouse clicks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

from bench.chromium_joins import EXECUTABLE as EXECUTABLE
from bench.chromium_joins import FLAGS as FLAGS

PROBE = Path(__file__).with_name("probe.js")


def microphone_flags(speech: Path) -> list[str]:
    """Flags for microphones, without any hardware, that hear a WAV file over and over."""
    return ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={speech}"]


@asynccontextmanager
async def chromium_page(url: str, *, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """A page of a fresh browser, loaded, with ``window.__probe`` in it and nothing clicked yet."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, headless=True, args=FLAGS)
        try:
            page = await browser.new_page(viewport={"width": width, "height": height})
            await page.add_init_script(path=PROBE)
            await page.goto(url)
            yield page
        finally:
            await browser.close()
