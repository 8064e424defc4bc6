"""A person's visit to the pages of a scripted server, in a real Chromium whose microphone hears a sentence."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.clients.chromium import FLAGS, launched, microphone_flags
from tests.clients.scripted_whep import ScriptedWhep, scripted_whep
from tests.clients.speech_files import DATA
from tests.clients.waiting import until_page

WAIT_S = 20.0
"""For what takes a fraction of a second on a machine with nothing else to do."""
SPEECH = DATA / "sentence-espeak.wav"

expect.set_options(timeout=WAIT_S * 1000)


@dataclass(frozen=True, slots=True)
class Visit:
    """One person's browser, and the server it looks at."""

    server: ScriptedWhep
    page: Page
    context: BrowserContext

    async def open(self, query: str = "") -> None:
        """The player, with nothing clicked."""
        await self.page.goto(f"{self.server.base}/player/demo{query}")

    async def start(self) -> None:
        """Open the page, click, and wait until the avatar listens."""
        await self.open()
        await self.page.click("#start")
        await self.state("idle")

    async def publish(self, query: str = "") -> None:
        """The publisher page, with the microphone allowed and nothing clicked."""
        await self.allow_microphone()
        await self.page.goto(f"{self.server.base}/publish/demo{query}")

    async def speak(self) -> None:
        """Open the publisher page and go on air."""
        await self.publish()
        await self.page.click("#talk")
        await self.state("on")

    async def allow_microphone(self) -> None:
        """What a person does once, when the browser asks."""
        await self.context.grant_permissions(["microphone"], origin=self.server.base)

    async def state(self, name: str) -> None:
        """Wait for a state, by what the page shows."""
        await self.page.wait_for_selector(f"body[data-state={name}]", timeout=WAIT_S * 1000)

    async def picture(self) -> None:
        """Wait until the live picture covers the idle loop."""
        await self.page.wait_for_selector("#stage[data-live]", timeout=WAIT_S * 1000)

    async def loop(self) -> None:
        """Wait until the idle loop is what is seen, and moves."""
        await self.page.wait_for_selector("#stage:not([data-live], [data-held])", timeout=WAIT_S * 1000)
        before = await self.page.evaluate("document.querySelector('#loop').currentTime")
        await self.becomes(f"document.querySelector('#loop').currentTime !== {before}")

    async def becomes(self, expression: str) -> None:
        """Wait until it is true."""
        await until_page(self.page, expression, WAIT_S)


@asynccontextmanager
async def visitors_browser() -> AsyncIterator[Browser]:
    """A Chromium for many visits."""
    flags = [*FLAGS, *microphone_flags(SPEECH)]
    async with launched(flags) as browser:
        yield browser


@asynccontextmanager
async def visiting(patch: pytest.MonkeyPatch, browser: Browser) -> AsyncIterator[Visit]:
    """A visit that must end without an error in the console; refused requests, which Chromium logs, are not errors."""
    complaints: list[str] = []
    async with scripted_whep(patch) as server:
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        try:
            yield Visit(server, page, context)
        finally:
            await context.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
