"""Debian's Chromium on the player page, as a command. Prints one JSON object.

    python -m tests.clients.chromium_viewer PAGE CSS_OF_WHAT_TO_CLICK FRAMES SECONDS

Ends when so many pictures are decoded, or with exit status 1 after so many seconds. HOST_NAMES=1 in the environment as
in `tests.clients.browser_peer`.
"""

import asyncio
import json
import sys

from tests.clients.browser_peer import POLL_S, chromium_on


async def play(page: str, css: str, frames: int) -> dict[str, object]:
    """Click play, read the counters until so many pictures are decoded, and close the page."""
    async with chromium_on(page) as browser:
        await browser.page.click(css)
        reading: dict[str, dict[str, object]] = {}
        while reading.get("video", {}).get("framesDecoded", 0) < frames:
            await asyncio.sleep(POLL_S)
            if await browser.evaluate("__probe.connections.length"):
                reading = await browser.evaluate("__probe.read()")
        await browser.page.close(run_before_unload=True)
        return {"client": "our player in chromium", "video": reading["video"]["framesDecoded"]}


async def main(page: str, css: str, frames: str, seconds: str) -> None:
    async with asyncio.timeout(float(seconds)):
        print(json.dumps(await play(page, css, int(frames))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
