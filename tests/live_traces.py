"""A publisher, a network and a worker in one simulated time, for the live source."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar.live_source import LiveSource
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES

LEVEL = 8000
TOC = {120: 28 << 3, 240: 29 << 3, 480: 30 << 3, 960: 31 << 3, 1920: 10 << 3, 2880: 11 << 3}
"""First byte of a mono packet of that many samples (RFC 6716 section 3.1)."""


@dataclass(frozen=True)
class Sent:
    """A packet of a publisher: its place in the sound, and when it comes. Units: samples; seconds."""

    at: int
    samples: int
    sequence: int
    rtp_time: int
    comes_s: float

    @property
    def data(self) -> bytes:
        """A packet for ``ScriptedDecoder``."""
        return bytes([TOC[self.samples]]) + self.at.to_bytes(8, "big")


def voice(places: NDArray[np.int64]) -> NDArray[np.int16]:
    """What the publisher says: 220 Hz for ever. Its steps from sample to sample stay below ``STEP``."""
    return np.rint(LEVEL * np.sin(2 * np.pi * 220 * places / AUDIO_HZ)).astype(np.int16)


STEP = LEVEL * 2 * np.pi * 220 / AUDIO_HZ + 2


@dataclass
class ScriptedDecoder:
    """Makes the voice of a packet, and notes it; a packet with nothing in it is damaged."""

    decoded: list[int] = field(default_factory=list)

    def decode(self, data: bytes) -> NDArray[np.int16] | None:
        if len(data) == 1:
            return None
        at = int.from_bytes(data[1:], "big")
        samples = next(samples for samples, first in TOC.items() if first == data[0])
        self.decoded.append(at)
        return voice(np.arange(at, at + samples))


def steady(
    seconds: float, samples: int = OPUS_SAMPLES, *, rate: float = 1.0, phase_s: float = 0.0, sequence: int = 100
) -> list[Sent]:
    """Packets that come as they are made; ``rate``: the publisher's clock against the worker's."""
    count = round(seconds * AUDIO_HZ / samples)
    return [
        Sent(n * samples, samples, sequence + n, 7777 + n * samples, phase_s + (n + 1) * samples / AUDIO_HZ / rate)
        for n in range(count)
    ]


@dataclass
class Heard:
    """What a worker took of a publisher."""

    play: NDArray[np.int16]
    analyse: NDArray[np.float32]
    decoded: list[int]
    delays: list[tuple[float, float]]
    """For each packet decoded: when, and how long after it was spoken."""
    source: LiveSource

    @property
    def delay_s(self) -> float:
        """At the end."""
        return self.delays[-1][1]

    def delay_at(self, seconds: float) -> float:
        """Of the packet decoded last before that time."""
        return [delay for when, delay in self.delays if when <= seconds][-1]


def listen(packets: list[Sent], seconds: float, fps: int = 25, *, start_s: float = 0.0, rate: float = 1.0) -> Heard:
    """Take blocks as a worker does, frame by frame: all that a frame needs, at the time of the frame."""
    decoder = ScriptedDecoder()
    source = LiveSource(AUDIO_HZ // fps, decoder)
    blocks, delays = [], []
    coming = sorted(packets, key=lambda packet: packet.comes_s)
    for frame in range(int(seconds * fps)):
        now_s = start_s + frame / fps
        while coming and coming[0].comes_s <= now_s:
            packet = coming.pop(0)
            source.put(packet.sequence, packet.rtp_time, packet.data)
        while (taken := len(blocks) * OPUS_SAMPLES) < (frame + 1) * AUDIO_HZ // fps:
            known = len(decoder.decoded)
            blocks.append(source.take(OPUS_SAMPLES))
            heard_s = start_s + taken / AUDIO_HZ
            delays += [(now_s, heard_s - at / AUDIO_HZ / rate) for at in decoder.decoded[known:]]
    play = np.concatenate([block.play for block in blocks])
    assert all(len(block.play) == OPUS_SAMPLES and len(block.analyse) == OPUS_SAMPLES // 3 for block in blocks)
    return Heard(play, np.concatenate([block.analyse for block in blocks]), decoder.decoded, delays, source)
