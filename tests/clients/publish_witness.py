"""Runs a WHIP publisher and sees what becomes of it: on the server's pages and events, and as a viewer who listens.

    python -m tests.clients.publish_witness SERVER COMMAND ...

prints one JSON object; so it also works inside a namespace.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

import httpx

from tests.clients.event_log import EventLog, listening
from tests.clients.hearing import part_heard
from tests.clients.peers import RunningPeer, running
from tests.clients.recording_viewer import Viewer, watching
from tests.clients.speech_files import sentence
from tests.clients.waiting import until

SPOKEN_S = 3.0
"""What is published of the sentence. Units: seconds."""
START_S = 40.0
"""For a browser to start on a busy machine and to connect."""
GONE_S = 15.0
TAIL = 25
"""Packets for which the viewer waits when the speech is finished: what is in its jitter buffer comes out."""


async def described(client: httpx.AsyncClient) -> dict[str, object]:
    """The stream as the server describes it."""
    answer: dict[str, object] = (await client.get("/streams/demo")).raise_for_status().json()
    return answer


async def wait_described(client: httpx.AsyncClient, seconds: float, **wanted: object) -> None:
    """Wait until the stream is described so."""
    found: dict[str, object] = {}
    async with asyncio.timeout(seconds):
        while {name: found.get(name) for name in wanted} != wanted:
            found = await described(client)
            await asyncio.sleep(0.05)


async def observe(server: str, peer: RunningPeer, events: EventLog, viewer: Viewer) -> dict[str, object]:
    """Watch a publisher from its connection until the stream is as it was before."""
    async with httpx.AsyncClient(base_url=server, timeout=10, trust_env=False) as client:
        await until(lambda: events.find("publisher", publisher=True) or not peer.is_running(), START_S, "a publisher")
        if peer.is_running():
            await wait_described(client, 10, publisher=True, state="speaking")
            await events.wait(10, "speech", state="started")
        report = await peer.report(START_S)
        await wait_described(client, GONE_S, publisher=False, state="idle")
        location = report.get("location")
        gone = (await client.get(str(location))).status_code if location else None
    await events.wait(GONE_S, "speech", state="finished")
    heard = len(viewer.sound)
    await until(lambda: len(viewer.sound) >= heard + TAIL, GONE_S, "what was still on its way")
    return {"report": report, "gone": gone, "states": events.states()}


async def witness(server: str, command: Sequence[str]) -> dict[str, object]:
    """Run a publisher of `SPOKEN_S` of the sentence, and report on it.

    Errors: AssertionError where it fails, TimeoutError where the server does not notice it or its end.
    """
    async with listening(server) as events, watching(f"{server}/whep/demo", codec=None) as viewer:
        await events.wait_idle(GONE_S)
        async with running(command) as peer:
            seen = await observe(server, peer, events, viewer)
    return seen | {"heard": part_heard(viewer, sentence(longest_s=SPOKEN_S))}


async def main(server: str, *command: str) -> None:
    print(json.dumps(await witness(server, command)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
