"""Chromium on a link to a player behind a proxy: plays, has it speak a sample, silences it. Prints one JSON object.

    python -m tests.clients.linked_visit LINK FINGERPRINT PICTURES

runs in a network namespace. ``FINGERPRINT`` is of a key that signs for the proxy; no other that is unknown is accepted.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

from tests.clients.chromium import FLAGS, PROBE, launched
from tests.clients.player_page import PLAY, SAMPLE
from tests.clients.remote_player import WAIT_MS, shown
from tests.clients.waiting import until_page


async def visit(link: str, fingerprint: str, pictures: int) -> dict[str, object]:
    """Open it, click, see it play, click a sentence, see it speak, and silence it."""
    flags = [flag for flag in FLAGS if not flag.startswith("--host-resolver-rules")]
    flags.append(f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {urlsplit(link).hostname}")
    async with launched([*flags, f"--ignore-certificate-errors-spki-list={fingerprint}"]) as browser:
        page = await browser.new_page()
        await page.add_init_script(path=PROBE)
        await page.goto(link, timeout=WAIT_MS)
        await page.click(PLAY)
        await until_page(page, "document.querySelector('#live').currentTime > 1", WAIT_MS / 1000)
        await page.evaluate("void __probe.record()")
        await page.click(SAMPLE)
        await page.wait_for_selector("body[data-state=speaking]", timeout=WAIT_MS)
        await shown(page, pictures)
        await page.keyboard.press("Escape")
        await page.wait_for_selector("body:not([data-state=speaking])", timeout=WAIT_MS)
        return {
            "address": page.url,
            "secure": await page.evaluate("isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia)"),
            "errors": await page.evaluate("__probe.errors"),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
