"""The server to compare with: the same pictures over WHEP by aiortc as its examples use it.

Each viewer has a track of its own, as in LiveTalking, pipecat and the original server. It gives pictures and sound, and
aiortc's senders encode both for each viewer; or, with ``--packets``, what was encoded once before anybody joined, and
they cut and send it. All is made ready at the start, so a viewer costs what aiortc does for it and nothing else.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import av
import numpy as np
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.encode import OpusEncoder, PictureEncoder
from avatar.engines.engine import Patch
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ, Codec, VideoFormat
from avatar.prepared import find_avatar, load_prepared
from bench.clip import open_clip
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


Media: TypeAlias = "av.VideoFrame | av.AudioFrame | Packet[Stream]"
"""What aiortc's senders take from a track."""


class Source(Protocol):
    """What all viewers are given."""

    def picture(self, frame: int) -> Media:
        """Picture ``frame`` of an endless row."""
        ...

    def sound(self, packet: int) -> Media:
        """20 ms of sound."""
        ...


class Plain:
    """Pictures and samples, to be encoded for each viewer."""

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], sound: NDArray[np.int16], fps: int) -> None:
        """Shapes: pictures (height * 3 // 2, width) each, I420; sound (packets, 960)."""
        self._pictures, self._sound, self._fps = pictures, sound, fps

    def picture(self, frame: int) -> av.VideoFrame:
        """As ``Source``."""
        # lent, not copied: as cheap as it can be
        picture = av.VideoFrame.from_numpy_buffer(self._pictures[frame % len(self._pictures)], format="yuv420p")
        picture.pts, picture.time_base = frame * VIDEO_HZ // self._fps, Fraction(1, VIDEO_HZ)
        return picture

    def sound(self, packet: int) -> av.AudioFrame:
        """As ``Source``."""
        samples = self._sound[packet % len(self._sound)].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_HZ, packet * OPUS_SAMPLES, Fraction(1, AUDIO_HZ)
        return frame


class Encoded:
    """The same, encoded once by our encoders at our bitrate, a keyframe a second."""

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], sound: NDArray[np.int16], fps: int) -> None:
        height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
        encoder, opus = PictureEncoder(Codec.H264, VideoFormat(width, height, fps)), OpusEncoder()
        self._fps = fps
        self._units = [
            encoder.encode(np.asarray(each), frame, keyframe=frame % fps == 0).data
            for frame, each in enumerate(pictures)
        ]
        self._packets = [opus.encode(each) for each in sound]
        self._newest: dict[Fraction, tuple[int, Packet[Stream]]] = {}

    def picture(self, frame: int) -> "Packet[Stream]":
        """As ``Source``."""
        return self._shared(self._units, frame, Fraction(1, self._fps))

    def sound(self, packet: int) -> "Packet[Stream]":
        """As ``Source``."""
        return self._shared(self._packets, packet, Fraction(OPUS_SAMPLES, AUDIO_HZ))

    def _shared(self, all_data: Sequence[bytes], number: int, step_s: Fraction) -> "Packet[Stream]":
        """One object for all viewers who ask for it in turn."""
        known = self._newest.get(step_s)
        if known is None or known[0] != number:
            packet = av.Packet(all_data[number % len(all_data)])
            packet.pts, packet.time_base = number, step_s
            known = self._newest[step_s] = (number, packet)
        return known[1]


class PacedTrack(MediaStreamTrack):
    """A viewer's track: gives frame k at k times its interval on the server's clock."""

    def __init__(self, kind: str, interval_s: float, began_s: float, make: Callable[[int], Media]) -> None:
        self.kind = kind
        super().__init__()
        self._interval_s, self._began_s, self._make = interval_s, began_s, make
        self._frame = int((time.monotonic() - began_s) / interval_s)

    async def recv(self) -> Media:
        """The next frame, when it is due; a reader that is late gets it at once."""
        due_s = self._began_s + self._frame * self._interval_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        self._frame += 1
        return self._make(self._frame - 1)


class Baseline:
    """An ASGI application: POST to any path is a viewer, GET says that it is up."""

    def __init__(self, source: Source, fps: int) -> None:
        self._source, self._fps = source, fps
        self._began_s = time.monotonic()
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
        viewer.addTrack(PacedTrack("audio", OPUS_SAMPLES / AUDIO_HZ, self._began_s, self._source.sound))
        viewer.addTrack(PacedTrack("video", 1 / self._fps, self._began_s, self._source.picture))
        await viewer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await viewer.setLocalDescription(await viewer.createAnswer())
        return str(viewer.localDescription.sdp)


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
    parser.add_argument("--clip", type=Path, help="what is sent (bench.clip); else the idle loop and silence")
    parser.add_argument("--packets", action="store_true", help="encode once, before anybody joins")
    arguments = parser.parse_args()
    size = (arguments.size[0], arguments.size[1])
    settings = Settings.model_validate({"host": "127.0.0.1"})
    pictures: Sequence[NDArray[np.uint8]] = []
    sound = np.zeros((1, OPUS_SAMPLES), np.int16)
    if arguments.clip is None:
        pictures = idle_pictures(settings.assets, settings.avatar, size)
    else:
        clip = open_clip(arguments.clip, size)
        pictures, sound = list(np.array(clip.pictures)), clip.sound
    source: Source = (Encoded if arguments.packets else Plain)(pictures, sound, arguments.fps)
    app = Baseline(source, arguments.fps)
    with ice_policy(settings):
        uvicorn.run(app, host="127.0.0.1", port=arguments.port, loop="uvloop", lifespan="off", access_log=False)


if __name__ == "__main__":
    start()
