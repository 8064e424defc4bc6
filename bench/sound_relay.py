"""The server to compare with: what a publisher says goes on to those who listen, by aiortc as its examples use it.

aiortc decodes the sound behind its own jitter buffer and encodes it again for each listener. No picture is made: this
is what sound alone takes through such a server.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

from bench.baseline import Message, read_body
from whep_server.rtc.ice import ice_policy
from whep_server.settings import Settings

PUBLISH: Final = "/whip"
LISTEN: Final = "/whep"


class SoundRelay:
    """An ASGI application: POST to /whip publishes, to /whep listens; DELETE ends nothing but is answered."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._published: asyncio.Future[MediaStreamTrack] | None = None
        self._peers: list[RTCPeerConnection] = []

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request."""
        status, answer = 200, ""
        if scope["method"] == "POST":
            offer = await read_body(receive)
            status, answer = 201, await (self._publish(offer) if scope["path"] == PUBLISH else self._listen(offer))
        headers = [(b"content-type", b"application/sdp"), (b"content-length", b"%d" % len(answer))]
        headers.append((b"location", str(scope["path"]).encode() + b"/session"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.encode()})

    async def _publish(self, offer: str) -> str:
        peer = self._peer()
        self._published = asyncio.get_running_loop().create_future()
        peer.on("track", self._published.set_result)
        return await _answer(peer, offer)

    async def _listen(self, offer: str) -> str:
        peer = self._peer()
        if self._published is not None:
            peer.addTrack(self._relay.subscribe(await self._published))
        return await _answer(peer, offer)

    def _peer(self) -> RTCPeerConnection:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        return peer


async def _answer(peer: RTCPeerConnection, offer: str) -> str:
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with ice_policy(Settings.model_validate({"host": "127.0.0.1"})):
        port = parser.parse_args().port
        uvicorn.run(SoundRelay(), host="127.0.0.1", port=port, loop="uvloop", lifespan="off", access_log=False)


if __name__ == "__main__":
    start()
