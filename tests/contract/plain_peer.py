"""A browser's part in a WebRTC session of the original: it offers to receive, trickles its candidates, and decodes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final
from unittest.mock import patch
from urllib.parse import urlsplit

import aioice.ice
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from tests.contract.field_types import assert_success
from tests.contract.original_client import WEBRTC, Target
from tests.greeting import without_greeting

LOOPBACK: Final = ("127.0.0.1", "localhost")
LOUD: Final = 300
"""Mean of absolute samples of 16 bits that only speech reaches."""


@dataclass(slots=True)
class Peer:
    """A connected peer and what it got."""

    connection: RTCPeerConnection
    offer: str
    """Without candidates: those are trickled."""
    candidates: list[str]
    picture_times: list[int] = field(default_factory=list)
    """Of decoded pictures, on the 90 kHz clock."""
    sizes: set[tuple[int, int]] = field(default_factory=set)
    loudness: list[float] = field(default_factory=list)
    """Of decoded sound, one number a packet."""

    async def take(self, track: MediaStreamTrack) -> None:
        """Decode until the track ends."""
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame) and frame.pts is not None:
                    self.picture_times.append(frame.pts)
                    self.sizes.add((frame.width, frame.height))
                elif isinstance(frame, AudioFrame):
                    self.loudness.append(float(abs(frame.to_ndarray().astype(int)).mean()))

    def is_quiet(self, packets: int = 30) -> bool:
        """Whether the last sound was silence."""
        return len(self.loudness) >= packets and max(self.loudness[-packets:]) < LOUD

    def steps(self) -> set[int]:
        """Differences of following pictures' times, after what was given at once in the beginning."""
        return {later - earlier for earlier, later in pairwise(without_greeting(self.picture_times))}


@contextmanager
def reachable(target: Target) -> Iterator[None]:
    """aioice leaves loopback out; a server on this machine may be reachable nowhere else."""
    if urlsplit(target.base).hostname not in LOOPBACK:
        yield
        return
    with patch.object(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]):
        yield


@asynccontextmanager
async def peer(target: Target) -> AsyncIterator[Peer]:
    """A peer with an offer to receive one video and one audio track, as the original's page makes it."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", "recvonly")
    connection.addTransceiver("audio", "recvonly")
    with reachable(target):
        await connection.setLocalDescription(await connection.createOffer())
    lines = connection.localDescription.sdp.splitlines()
    first = lines.index(next(line for line in lines if line.startswith("m=")))
    second = next(at for at, line in enumerate(lines) if at > first and line.startswith("m="))
    candidates = [line.removeprefix("a=") for line in lines[first:second] if line.startswith("a=candidate:")]
    trickled = ("a=candidate:", "a=end-of-candidates")
    bare = "".join(f"{line}\r\n" for line in lines if not line.startswith(trickled))
    async with asyncio.TaskGroup() as group:
        made = Peer(connection, bare, candidates)
        takers: list[asyncio.Task[None]] = []
        connection.on("track", lambda track: takers.append(group.create_task(made.take(track))))
        try:
            yield made
        finally:
            await connection.close()
            for taker in takers:
                taker.cancel()


async def join(http: httpx.AsyncClient, session_id: str, made: Peer) -> str:
    """Offer, take the answer, trickle, say that it was all; the answer."""
    path = f"{WEBRTC}/{session_id}"
    answered = await http.post(f"{path}/offer", json={"sdp": made.offer, "type": "offer"})
    assert_success(answered, {"sdp": str, "type": "answer"})
    answer = str(answered.json()["sdp"])
    await made.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    for candidate in made.candidates:
        body = {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}
        assert_success(await http.post(f"{path}/ice", json=body), {"status": "ok"})
    last = {"candidate": None, "sdpMid": None, "sdpMLineIndex": None}
    assert_success(await http.post(f"{path}/ice", json=last), {"status": "ok"})
    return answer
