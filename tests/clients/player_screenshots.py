"""Pictures for the docs: two WHEP players that are not ours, in Chromium, while the face speaks.

python -m tests.clients.player_screenshots
"""

import asyncio
import os
from unittest.mock import patch

from tests.clients.event_log import listening, speak
from tests.clients.peer_table import in_browser
from tests.clients.peers import run
from tests.clients.server_process import ROOT, Server, running_server
from tests.clients.speech_files import sentence

FOLDER = ROOT / "docs" / "images"
PICTURES = "60"
"""The first seconds of the sentence are over by then, and its last are not."""
LIMIT_S = 60.0
LIBRARIES = {"whip-whep": "whip-whep.jpg", "@eyevinn/webrtc-player": "eyevinn-webrtc-player.jpg"}


async def take(server: Server, library: str, name: str) -> None:
    """Have the sentence spoken to one player, and keep what it shows."""
    async with listening(server.base) as events:
        await events.wait_idle(LIMIT_S)
        await speak(server.base, sentence().wav)
        with patch.dict(os.environ, {"SCREENSHOT": str(FOLDER / name)}):
            await run(in_browser("chromium", library)(server.whep(), PICTURES), LIMIT_S)
        await events.wait(LIMIT_S, "speech", state="finished")


def main() -> None:
    with running_server() as server:
        for library, name in LIBRARIES.items():
            asyncio.run(take(server, library, name))
            print(f"{FOLDER / name}")


if __name__ == "__main__":
    main()
