"""A third-party WHEP or WHIP library in a real browser, as a command. Prints one JSON object.

    python -m tests.clients.browser_peer chromium|firefox play LIBRARY WHEP_URL PICTURES SECONDS
    python -m tests.clients.browser_peer chromium|firefox publish LIBRARY WHIP_URL WAV_FILE SECONDS

The libraries are whip-whep, @eyevinn/webrtc-player and @eyevinn/whip-web-client; `make peers` bundles them into a page.
Playing ends when so many pictures are decoded and sound has come; publishing sends the file's sound once, in real time,
with a moving picture beside it. In the environment, SCREENSHOT=FILE has Chromium keep a picture of the page while it
plays, and HOST_NAMES=1 lets it hide its addresses behind mDNS names, as it does for everybody else.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from playwright.async_api import Page

from tests.clients.chromium import EXECUTABLE, FLAGS, PROBE, launched
from tests.clients.firefox_viewer import Session, firefox
from tests.clients.peers import PAGES, Report, need
from tests.clients.static_pages import serving_folder

POLL_S = 0.1
LEAVE_S = 10.0


class Browser(Protocol):
    """A browser with one page open."""

    async def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression, promises awaited."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A page under Playwright, whose evaluations count as a person's gestures."""

    page: Page

    async def evaluate(self, expression: str) -> object:
        """See `Browser`."""
        return await self.page.evaluate(f"(async () => await ({expression}))()")


@dataclass(frozen=True, slots=True)
class Firefox:
    """A tab under WebDriver BiDi."""

    session: Session

    async def evaluate(self, expression: str) -> object:
        """See `Browser`."""
        return await self.session.evaluate(expression)


@asynccontextmanager
async def chromium_on(url: str) -> AsyncIterator[Chromium]:
    """A fresh Chromium on a page."""
    flags = [flag for flag in FLAGS if not (os.environ.get("HOST_NAMES") and "HideLocalIps" in flag)]
    async with launched(flags, need(EXECUTABLE)) as browser:
        page = await browser.new_page(viewport={"width": 960, "height": 608})
        await page.add_init_script(path=PROBE)
        await page.goto(url)
        yield Chromium(page)


@asynccontextmanager
async def firefox_on(url: str) -> AsyncIterator[Firefox]:
    """A fresh Firefox on a page."""
    need("firefox-esr")
    async with firefox() as session:
        probe = f"() => {{ {PROBE.read_text()} }}"
        await session.command("script.addPreloadScript", functionDeclaration=probe)
        await session.command("browsingContext.navigate", context=session.context, url=url, wait="complete")
        await session.click("h1")  # a person's gesture, without which the page may make no sound
        yield Firefox(session)


BROWSERS = {"chromium": chromium_on, "firefox": firefox_on}


async def play(browser: Browser, library: str, endpoint: str, pictures: str) -> Report:
    """Play until so many pictures are decoded and so many sound packets have come."""
    await browser.evaluate(f"peers.play({json.dumps(library)}, {json.dumps(endpoint)})")
    wanted = int(pictures)
    reading: dict[str, dict[str, object]] = {}
    while (
        reading.get("video", {}).get("framesDecoded", 0) < wanted
        or reading.get("audio", {}).get("packetsReceived", 0) < wanted
    ):
        await asyncio.sleep(POLL_S)
        reading = await browser.evaluate("__probe.read()")
    if (path := os.environ.get("SCREENSHOT")) and isinstance(browser, Chromium):
        await browser.page.screenshot(path=path, type="jpeg", quality=80)
    kept = ("framesDecoded", "frameWidth", "packetsReceived", "packetsLost", "mimeType", "totalAudioEnergy")
    counters = {kind: {name: reading[kind].get(name) for name in kept} for kind in ("video", "audio")}
    video, audio = counters["video"]["framesDecoded"], counters["audio"]["packetsReceived"]
    return {"video": video, "audio": audio, "codec": counters["video"]["mimeType"], "counters": counters}


async def publish(browser: Browser, library: str, endpoint: str, wav: str) -> Report:
    """Publish the file once."""
    await browser.evaluate(
        f"peers.publish({json.dumps(library)}, {json.dumps(endpoint)}, {json.dumps(Path(wav).name)})"
    )
    await browser.evaluate("peers.spoken")
    return {}


@asynccontextmanager
async def pages(wav: str | None) -> AsyncIterator[str]:
    """The address of the libraries' page, which has the sound file beside it."""
    need(PAGES / "peers.html")
    with tempfile.TemporaryDirectory(prefix="peer-pages-") as name:
        folder = Path(name)
        for path in [*PAGES.iterdir(), *([Path(wav)] if wav else [])]:
            shutil.copy(path, folder)
        with serving_folder(folder) as base:
            yield f"{base}/peers.html"


async def main(which: str, task: str, library: str, endpoint: str, what: str, seconds: str) -> None:
    work = {"play": play, "publish": publish}[task]
    async with (
        asyncio.timeout(float(seconds)),
        pages(what if task == "publish" else None) as url,
        BROWSERS[which](url) as browser,
    ):
        report = await work(browser, library, endpoint, what)
        async with asyncio.timeout(LEAVE_S):
            await browser.evaluate("peers.leave()")
        requests = await browser.evaluate("peers.requests")
        location = next((each["location"] for each in requests if each["method"] == "POST"), None)
        deleted = next((each["status"] for each in requests if each["method"] == "DELETE"), None)
        errors = await browser.evaluate("__probe.errors")
    named = {"client": f"{library} in {which}", "location": location, "deleted": deleted, "errors": errors}
    print(json.dumps(report | named))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
