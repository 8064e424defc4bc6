"""Chromium on the built-in player, on a machine whose address changes while it plays. Prints one JSON object.

    python -m tests.clients.moving_viewer BASE DEVICE OLD NEW

runs as root inside a network namespace of its own, where DEVICE has the address OLD (with its prefix length): that is
taken away and NEW given, as when a laptop goes over to another network.
"""

import asyncio
import json
import subprocess
import sys
from itertools import pairwise

from playwright.async_api import Page

from tests.clients.remote_player import WAIT_MS, playing, shown
from tests.clients.waiting import until_page

BEFORE, AFTER = 50, 100
"""Pictures to be shown on either address."""


def move(device: str, old: str, new: str) -> None:
    """Go over to another address; what was reached through a gateway stays so."""
    routes = subprocess.run(["ip", "route", "show", "default"], capture_output=True, text=True, check=True, timeout=10)
    gateway = routes.stdout.split()[2]
    subprocess.run(["ip", "address", "delete", old, "dev", device], check=True, timeout=10)
    subprocess.run(["ip", "address", "add", new, "dev", device], check=True, timeout=10)
    subprocess.run(["ip", "route", "replace", "default", "via", gateway, "dev", device], check=True, timeout=10)


async def watch(base: str, device: str, old: str, new: str) -> dict[str, object]:
    """Play, move, play on."""
    async with playing(base) as page:
        await page.evaluate("void __probe.record()")
        before = await shown(page, BEFORE)
        move(device, old, new)
        await until_page(page, "__probe.connections.length > 0", WAIT_MS / 1000)
        # pictures that were under way when it moved are not counted
        addresses = "[...(await __probe.connections.at(-1).getStats()).values()]"
        await wait_for_address(page, addresses, new.partition("/")[0])
        await shown(page, AFTER)
        probe = await page.evaluate("({ ...__probe, connections: __probe.connections.length })")
    times = [frame["shownMs"] for frame in probe["frames"][before - 1 :]]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return {
        "gap_s": max(gaps) / 1000,
        "offers": probe["requests"].count("POST /whep/demo"),
        "connections": probe["connections"],
        "errors": probe["errors"],
    }


async def wait_for_address(page: Page, entries: str, address: str) -> None:
    """Wait until media comes over a pair whose local address is ``address``."""
    script = f"""(async () => {{
      const entries = {entries};
      const transport = entries.find((entry) => entry.type === "transport");
      const pair = entries.find((entry) => entry.id === transport?.selectedCandidatePairId);
      const local = entries.find((entry) => entry.id === pair?.localCandidateId);
      return local?.address ?? null;
    }})()"""
    async with asyncio.timeout(WAIT_MS / 1000):
        while await page.evaluate(script) != address:  # noqa: ASYNC110  # the page cannot set an event of ours
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(watch(*sys.argv[1:]))))
