"""A WHIP publisher for measuring: sends a sound as Opus packets like a live encoder, and knows when each sample left.

It sends no silence before and after the sound.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av.stream import Stream
from numpy.typing import NDArray

OPUS_HZ: Final = 48_000
CODEC_DELAY: Final = 312
"""Samples by which libopus's decoder is behind what its encoder was given (its lookahead of 6.5 ms)."""
CONNECT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet that left: the sound's samples below ``until`` are sent. Units: seconds on the monotonic clock."""

    until: int
    at_s: float


def read_sound(path: Path, *, stereo: bool) -> NDArray[np.int16]:
    """Any sound file at 48 kHz. Shapes: (n, channels)."""
    resampler = av.AudioResampler(format="s16", layout="stereo" if stereo else "mono", rate=OPUS_HZ)
    with av.open(str(path)) as source:
        frames = [part for frame in [*source.decode(audio=0), None] for part in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)
    return samples.reshape(-1, 2 if stereo else 1)


def opus_packets(sound: NDArray[np.int16], frame_ms: float = 20.0, bps: int = 64_000) -> list[bytes]:
    """The sound as Opus packets, the last one filled up with silence. Shapes: sound (n, channels)."""
    size, channels = round(OPUS_HZ * frame_ms / 1000), sound.shape[1]
    layout = "stereo" if channels == 2 else "mono"
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = OPUS_HZ, layout, "s16", bps
    encoder.options = {"frame_duration": f"{frame_ms:g}"}
    encoder.open()
    count = -(-(len(sound) + CODEC_DELAY) // size)
    filled = np.zeros((count * size, channels), np.int16)
    filled[: len(sound)] = sound
    packets = []
    for at in range(0, len(filled), size):
        frame = av.AudioFrame.from_ndarray(filled[at : at + size].reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts = OPUS_HZ, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


class Encoder(MediaStreamTrack):
    """Packets, each when a live encoder would have it: when its last sample has been spoken. Then nothing more."""

    kind = "audio"

    def __init__(self, packets: list[bytes], frame_ms: float = 20.0) -> None:
        super().__init__()
        self.packets, self.frame_ms = packets, frame_ms
        self.start_s = 0.0
        """When sample 0 is spoken. Units: seconds on the monotonic clock."""
        self.sent: list[Sent] = []
        self.started, self.done = asyncio.Event(), asyncio.Event()

    def start(self, at_s: float) -> None:
        """Begin to speak then."""
        self.start_s = at_s
        self.started.set()

    def spoken_s(self, sample: int) -> float:
        """When that sample of the sound was spoken."""
        return self.start_s + sample / OPUS_HZ

    def sent_s(self, sample: int) -> float:
        """When the packet with that sample of the sound left."""
        return next(sent.at_s for sent in self.sent if sent.until > sample)

    async def recv(self) -> "av.Packet[Stream]":
        """For aiortc's sender, which sends packets as they are."""
        await self.started.wait()
        number, size = len(self.sent), round(OPUS_HZ * self.frame_ms / 1000)
        if number == len(self.packets):
            self.done.set()
            await asyncio.Event().wait()
        until = (number + 1) * size
        await asyncio.sleep(max(0.0, self.spoken_s(until) - time.monotonic()))
        self.sent.append(Sent(until - CODEC_DELAY, time.monotonic()))
        packet = av.Packet(self.packets[number])
        packet.pts, packet.time_base = until - size, Fraction(1, OPUS_HZ)
        return packet


class SmallPicture(MediaStreamTrack):
    """A grey picture, five a second: what an encoder that cannot send sound alone sends along."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        """The next one."""
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.2)
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = self._count * 18_000, Fraction(1, 90_000)
        self._count += 1
        return frame


@asynccontextmanager
async def publishing(
    url: str, packets: list[bytes], *, frame_ms: float = 20.0, video: bool = False, token: str | None = None
) -> AsyncIterator[Encoder]:
    """A publisher that is connected, and says ``packets`` once ``Encoder.start`` is called. Leaving takes it away.

    Errors: AssertionError for an answer other than 201; TimeoutError.
    """
    encoder = Encoder(packets, frame_ms)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(encoder, direction="sendonly")
    if video:
        connection.addTransceiver(SmallPicture(), direction="sendonly")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(headers=headers, timeout=CONNECT_S, trust_env=False) as client:
            await connection.setLocalDescription(await connection.createOffer())
            body, kind = connection.localDescription.sdp, {"Content-Type": "application/sdp"}
            response = await client.post(url, content=body, headers=kind)
            assert response.status_code == 201, f"{response.status_code}: {response.text}"
            try:
                await _connect(connection, response.text)
                yield encoder
            finally:
                await client.delete(urljoin(url, response.headers["Location"]))
    finally:
        await connection.close()


async def _connect(connection: RTCPeerConnection, answer: str) -> None:
    settled = asyncio.Event()

    @connection.on("connectionstatechange")
    def changed() -> None:
        if connection.connectionState in ("connected", "failed", "closed"):
            settled.set()

    async with asyncio.timeout(CONNECT_S):
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await settled.wait()
    assert connection.connectionState == "connected", connection.connectionState
