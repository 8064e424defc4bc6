"""Chromium on the built-in player at the far end of a bad road, while the avatar speaks. Prints one JSON object.

    python -m tests.clients.distant_viewer BASE WAV PICTURES [PAUSE_S]

runs in a network namespace of its own. Plays until so many pictures are shown; then, with PAUSE_S, pauses the player
for so long and plays on. What is said of sound against picture is Chromium's own estimate, of both tracks at one time.
"""

import asyncio
import json
import statistics
import sys
from pathlib import Path

import httpx
from playwright.async_api import Page

from tests.clients.remote_player import WAIT_MS, playing, shown
from tests.clients.waiting import until_page

OFFSETS = """() => __probe.polls.map(({ video, audio }) =>
  video?.estimatedPlayoutTimestamp && audio?.estimatedPlayoutTimestamp
    ? video.estimatedPlayoutTimestamp - audio.estimatedPlayoutTimestamp : null)"""


async def speak(base: str, wav: bytes, times: int) -> None:
    """Have it speak: a viewer that sees an idle face learns nothing of lips."""
    async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
        for _ in range(times):
            (await client.post("/streams/demo/speech", content=wav)).raise_for_status()


async def offsets(page: Page, first: int) -> list[float]:
    """Milliseconds by which sound is ahead of the picture, in each reading from the one numbered ``first`` on."""
    return [each for each in (await page.evaluate(OFFSETS))[first:] if each is not None]


async def watch(base: str, wav: bytes, pictures: int, pause_s: float) -> dict[str, object]:
    """Play, speak, perhaps pause, play on."""
    async with playing(base) as page:
        await speak(base, wav, 2)
        await page.evaluate("void __probe.record()")
        await shown(page, pictures)
        before = await offsets(page, 0)
        after: list[float] = []
        if pause_s:
            polled = int(await page.evaluate("__probe.polls.length"))
            await page.evaluate("document.querySelector('#live').pause()")
            await until_page(page, f"__probe.polls.length > {polled + 4 * pause_s}", WAIT_MS / 1000)
            polled = int(await page.evaluate("__probe.polls.length"))
            await page.evaluate("void document.querySelector('#live').play()")
            await shown(page, pictures)
            after = await offsets(page, polled)
        reading = await page.evaluate("__probe.read()")
        errors = await page.evaluate("__probe.errors")
    return {
        "offset_ms": statistics.median(before),
        "offset_after_ms": statistics.median(after) if after else None,
        "video": reading["video"],
        "audio": reading["audio"],
        "errors": errors,
    }


if __name__ == "__main__":
    base, wav, pictures, *pause = sys.argv[1:]
    print(
        json.dumps(asyncio.run(watch(base, Path(wav).read_bytes(), int(pictures), float(pause[0]) if pause else 0.0)))
    )
