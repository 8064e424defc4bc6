"""Joins by aiortc as it is, one after the other, in a process of their own; prints one JSON list.

    python -m bench.aiortc_joins ENDPOINT COUNT

Each viewer makes its offer, POSTs it, and watches until its own decoder has given it a picture; then it leaves.
"""

import argparse
import asyncio
import sys
import time
from typing import Final
from urllib.parse import urljoin

import httpx
import msgspec
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from bench.observer import on_loopback

JOIN_S: Final = 30.0
PAUSE_S: Final = 0.13
"""Between joins: no multiple of a frame's time, so that they fall on all parts of one."""


class Join(msgspec.Struct, frozen=True):
    """One join. Units: seconds from the POST."""

    answered_s: float
    connected_s: float
    decoded_s: float
    """aiortc gives a picture when the next one begins."""


async def join(client: httpx.AsyncClient, endpoint: str) -> Join:
    """Join, see a picture, leave. Errors: httpx.HTTPStatusError, TimeoutError."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connected = asyncio.Event()

    @connection.on("connectionstatechange")
    def changed() -> None:
        if connection.connectionState == "connected":
            connected.set()

    video = connection.addTransceiver("video", direction="recvonly")
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None, "video has codecs"
    video.setCodecPreferences([each for each in capabilities.codecs if each.mimeType in ("video/H264", "video/rtx")])
    connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    try:
        async with asyncio.timeout(JOIN_S):
            began_s = time.monotonic()
            offer = connection.localDescription.sdp
            reply = await client.post(endpoint, content=offer, headers={"Content-Type": "application/sdp"})
            reply.raise_for_status()
            answered_s = time.monotonic()
            await connection.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
            await connected.wait()
            connected_s = time.monotonic()
            await video.receiver.track.recv()
            decoded_s = time.monotonic()
        await client.delete(urljoin(endpoint, reply.headers["Location"]))
        return Join(answered_s - began_s, connected_s - began_s, decoded_s - began_s)
    finally:
        await connection.close()


async def joins(endpoint: str, count: int) -> list[Join]:
    """One after the other, after one that is not counted."""
    made = []
    async with httpx.AsyncClient(timeout=JOIN_S, trust_env=False) as client:
        for number in range(count + 1):
            made.append(await join(client, endpoint))
            await asyncio.sleep(PAUSE_S * (1 + number % 3))
    return made[1:]


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    with on_loopback():
        made = asyncio.run(joins(arguments.endpoint, arguments.count))
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    start()
