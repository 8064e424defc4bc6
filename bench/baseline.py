"""The server to compare with: the same idle loop over WHEP by aiortc as its examples use it.

Each viewer has a track of its own that gives pictures and silence, and aiortc's senders encode both for each viewer.
Pictures are composed before anybody joins, so a viewer costs encoding and sending and nothing else.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ
from avatar.prepared import find_avatar, load_prepared
from whep_server.rtc.ice import ice_policy
from whep_server.settings import Settings

Message = MutableMapping[str, object]
"""ASGI's messages and scopes."""
MAX_OFFER_BYTES: Final = 65_536


def idle_pictures(assets: Path, name: str, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """The idle loop as viewers see it. Shapes: (height * 3 // 2, width), I420. Errors: AvatarInvalid."""
    avatar = load_prepared(find_avatar(assets / "avatars", name), size)
    painter = MouthPainter(avatar)
    return [
        compose(picture, Patch(index, painter.box(index), painter.paint(index, NEUTRAL)))
        for index, picture in enumerate(avatar.pictures)
    ]


class PacedTrack(MediaStreamTrack):
    """A track that gives frame k at k times its interval."""

    def __init__(self, kind: str, interval_s: float, make: Callable[[int], av.VideoFrame | av.AudioFrame]) -> None:
        self.kind = kind
        super().__init__()
        self._interval_s, self._make = interval_s, make
        self._began_s = time.monotonic()
        self._frame = 0

    async def recv(self) -> av.VideoFrame | av.AudioFrame:
        """The next frame, when it is due; a reader that is late gets it at once."""
        due_s = self._began_s + self._frame * self._interval_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        self._frame += 1
        return self._make(self._frame - 1)


class Baseline:
    """An ASGI application: POST to any path is a viewer, GET says that it is up."""

    def __init__(self, pictures: list[NDArray[np.uint8]], fps: int) -> None:
        self._pictures, self._fps = pictures, fps
        self._viewers: list[RTCPeerConnection] = []

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request."""
        status, answer = 200, ""
        if scope["method"] == "POST":
            status, answer = 201, await self._join(await read_body(receive))
        headers = [(b"content-type", b"application/sdp"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.encode()})

    async def _join(self, offer: str) -> str:
        viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._viewers.append(viewer)
        viewer.addTrack(PacedTrack("audio", OPUS_SAMPLES / AUDIO_HZ, _silence))
        viewer.addTrack(PacedTrack("video", 1 / self._fps, self._picture))
        await viewer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await viewer.setLocalDescription(await viewer.createAnswer())
        return str(viewer.localDescription.sdp)

    def _picture(self, frame: int) -> av.VideoFrame:
        # lent, not copied: as cheap as it can be
        picture = av.VideoFrame.from_numpy_buffer(self._pictures[frame % len(self._pictures)], format="yuv420p")
        picture.pts, picture.time_base = frame * VIDEO_HZ // self._fps, Fraction(1, VIDEO_HZ)
        return picture


def _silence(packet: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, OPUS_SAMPLES), np.int16), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = AUDIO_HZ, packet * OPUS_SAMPLES, Fraction(1, AUDIO_HZ)
    return frame


async def read_body(receive: Callable[[], Awaitable[Message]]) -> str:
    """A request's body, as far as an offer goes."""
    body = b""
    while len(body) < MAX_OFFER_BYTES:
        message = await receive()
        part = message.get("body", b"")
        body += part if isinstance(part, bytes) else b""
        if not message.get("more_body"):
            break
    return body.decode()


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720))
    parser.add_argument("--fps", type=int, default=25)
    arguments = parser.parse_args()
    settings = Settings.model_validate({"host": "127.0.0.1"})
    width, height = arguments.size
    app = Baseline(idle_pictures(settings.assets, settings.avatar, (width, height)), arguments.fps)
    with ice_policy(settings):
        uvicorn.run(app, host="127.0.0.1", port=arguments.port, loop="uvloop", lifespan="off", access_log=False)


if __name__ == "__main__":
    start()
