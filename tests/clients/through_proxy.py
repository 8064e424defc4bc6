"""All that has to pass a proxy: events as they come, a WebSocket, an upload that goes on, an offer. Prints JSON.

    python -m tests.clients.through_proxy BASE TOKEN PICTURES

runs in a network namespace; SSL_CERT_FILE names who signs for the proxy.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator

import httpx

from tests.audio_files import tone
from tests.clients.pcm_socket import pcm_socket
from tests.clients.recording_viewer import watching

RATE = 24_000
PIECE_S = 0.2


def samples() -> bytes:
    return (tone(PIECE_S, 440, RATE, 0.5) * 32_767).astype("<i2").tobytes()


async def next_event(lines: AsyncIterator[str], kind: str, **wanted: object) -> None:
    """Wait for one of the event stream."""
    named = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            named = value
        elif name == "data" and named == kind and wanted.items() <= json.loads(value).items():
            return
    raise AssertionError(f"the stream ended without {kind} {wanted}")


async def upload(client: httpx.AsyncClient, lines: AsyncIterator[str]) -> str:
    """Samples whose end is sent when an event has said that their beginning is heard: nothing waits on the way."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield samples()
        await next_event(lines, "speech", state="started")
        yield samples()

    headers = {"Content-Type": f"audio/pcm;rate={RATE};channels=1"}
    response = await client.post("/streams/demo/pcm", content=pieces(), headers=headers)
    assert response.status_code == 202, response.text
    return str(response.json()["utterance"])


async def main(base: str, token: str, pictures: str) -> None:
    trusted = ssl.create_default_context()
    bearer = {"Authorization": f"Bearer {token}"}
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=base, headers=bearer, verify=trusted, trust_env=False, timeout=30) as client,
        client.stream("GET", "/streams/demo/events") as events,
    ):
        lines = events.aiter_lines()
        utterance = await upload(client, lines)
        await next_event(lines, "speech", state="finished", utterance=utterance)
        async with pcm_socket(base, ssl=trusted, additional_headers=bearer) as socket:
            await socket.begin(RATE)
            await socket.samples(samples())
            await socket.say("commit")
            finished = await socket.until("finished")
        async with watching(f"{base}/whep/demo?token={token}") as viewer:
            await viewer.wait_pictures(int(pictures), 30)
        plain = await client.get(base.replace("https", "http") + "/player/demo?a=b")
    print(
        json.dumps(
            {
                "played_samples": finished["played_samples"],
                "location": viewer.location,
                "redirect": [plain.status_code, plain.headers.get("location")],
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
