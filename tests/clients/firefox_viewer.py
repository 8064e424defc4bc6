"""Debian's Firefox on the player page, over WebDriver BiDi without geckodriver. Prints one JSON object.

    python -m tests.clients.firefox_viewer PAGE CSS_OF_WHAT_TO_CLICK FRAMES SECONDS

Ends when so many pictures are decoded, or with exit status 1 after so many seconds.
"""

import asyncio
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

PORT = 19222  # of a network namespace of its own
PROBE = Path(__file__).with_name("probe.js")
PREFERENCES = {
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.gmp-manager.url": "",
    "media.gmp-provider.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "services.settings.server": "data:,",
    "datareporting.policy.dataSubmissionEnabled": False,
}


class Session:
    """A WebDriver BiDi session: one command at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._serials = itertools.count(1)
        self.context = ""

    async def command(self, method: str, **params: object) -> dict[str, object]:
        """Carry out a command.

        Errors: RuntimeError with the browser's own words.
        """
        serial = next(self._serials)
        await self._socket.send(json.dumps({"id": serial, "method": method, "params": params}))
        while True:
            reply = json.loads(await self._socket.recv())
            if reply.get("id") == serial:
                if reply["type"] == "error":
                    raise RuntimeError(f"{method}: {reply['error']}: {reply['message']}")
                return reply["result"]

    async def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression in the page, promises awaited."""
        result = await self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.context},
            awaitPromise=True,
        )
        if result["type"] != "success":
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return json.loads(result["result"].get("value", "null"))

    async def click(self, css: str) -> None:
        """A real mouse click in the middle of an element."""
        found = await self.command(
            "browsingContext.locateNodes", context=self.context, locator={"type": "css", "value": css}
        )
        element = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": element},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        pointer = {"type": "pointer", "id": "mouse", "actions": actions}
        await self.command("input.performActions", context=self.context, actions=[pointer])


def write_preferences(profile: Path) -> None:
    """A profile that calls nobody at home."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))


@asynccontextmanager
async def firefox() -> AsyncIterator[Session]:
    """A fresh headless Firefox with one tab; killed, with its profile, when the block is left."""
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        write_preferences(Path(folder))
        process = await asyncio.create_subprocess_exec(
            *("firefox-esr", "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", str(PORT)),
            env=os.environ | {"HOME": folder, "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            while b"BiDi listening on" not in (line := await process.stderr.readline()):
                if not line:
                    raise RuntimeError("firefox ended before it listened")
            async with asyncio.TaskGroup() as group:
                drain = group.create_task(process.stderr.read())  # or it blocks on a full pipe
                async with connect(f"ws://127.0.0.1:{PORT}/session", max_size=None, proxy=None) as socket:
                    session = Session(socket)
                    await session.command("session.new", capabilities={})
                    tree = await session.command("browsingContext.getTree")
                    session.context = tree["contexts"][0]["context"]
                    yield session
                process.terminate()
                drain.cancel()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def play(page: str, css: str, frames: int) -> dict[str, object]:
    """Click play and read the counters until so many pictures are decoded."""
    async with firefox() as session:
        probe = f"() => {{ {PROBE.read_text()} }}"
        await session.command("script.addPreloadScript", functionDeclaration=probe)
        await session.command("browsingContext.navigate", context=session.context, url=page, wait="complete")
        await session.click(css)
        while True:
            await asyncio.sleep(0.25)
            if not await session.evaluate("__probe.connections.length"):
                continue
            reading = await session.evaluate("__probe.read()")
            if reading.get("video", {}).get("framesDecoded", 0) >= frames:
                errors = await session.evaluate("__probe.errors")
                return reading | {"errors": errors}


async def main(page: str, css: str, frames: str, seconds: str) -> None:
    async with asyncio.timeout(float(seconds)):
        print(json.dumps(await play(page, css, int(frames))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
