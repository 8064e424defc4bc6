"""How long after it was spoken a sound, and the lips for it, reach a viewer: found in what the viewer received. Pure.

Nothing that the server says about its timing is used. Where the sentence stands in the sound is found by correlation,
second by second, since a jitter buffer may shorten and lengthen it; the lips by how their opening follows that of a
reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from aiortc.codecs.h264 import h264_depayload
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from numpy.typing import NDArray

from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.pose import VisemeState
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ
from avatar.prepared import PreparedAvatar

Curve = NDArray[np.float64]
WINDOW: Final = AUDIO_HZ
"""Units: samples. What is looked for at once in the sound."""
LIKENESS: Final = 0.3
"""A second of the sentence counts as found where at least this part of its energy is."""
LAGS_S: Final = np.arange(-0.2, 1.2, 0.005)
SHRINK: Final = 8


@dataclass(frozen=True, slots=True)
class Arrival:
    """One RTP packet. Units: seconds on the monotonic clock."""

    at_s: float
    packet: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """The sound that came. Shapes: samples (n,), float32."""

    samples: NDArray[np.float32]
    arrivals: list[float]
    """When packet i came, which holds the samples from i * 960 on; NaN for one that was lost."""


@dataclass(frozen=True, slots=True)
class Lips:
    """The opening of the lips, picture by picture, and when each had come whole. Shapes: both (n,)."""

    at_s: Curve
    opening: Curve


def hear(arrivals: Sequence[Arrival]) -> Heard:
    """Decode a viewer's Opus packets; what is missing is silence."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = AUDIO_HZ, "mono"
    packets = _in_sequence(arrivals)
    length = packets[-1][0] // OPUS_SAMPLES + 1
    samples, times = np.zeros(length * OPUS_SAMPLES, np.float32), [float("nan")] * length
    for time, at_s, payload in packets:
        for frame in decoder.decode(av.Packet(payload)):
            part = frame.to_ndarray().reshape(-1)[:OPUS_SAMPLES].astype(np.float32) / 32768
            samples[time : time + len(part)] = part
        times[time // OPUS_SAMPLES] = at_s
    return Heard(samples, times)


def sound_delays(heard: Heard, sentence: NDArray[np.float32], spoken_s: Callable[[int], float]) -> list[float]:
    """For each packet with a part of the sentence, how long after the speaking of its first sample it came.

    ``spoken_s`` says when a sample of the sentence was spoken. Shapes: sentence (n,), 48 kHz.
    """
    delays = []
    for start in range(0, len(sentence) - WINDOW, WINDOW):
        place = find(heard.samples, sentence[start : start + WINDOW])
        if place is None:
            continue
        for packet in range(-(-place // OPUS_SAMPLES), (place + WINDOW) // OPUS_SAMPLES):
            sample = start + packet * OPUS_SAMPLES - place
            if packet < len(heard.arrivals):
                delays.append(heard.arrivals[packet] - spoken_s(sample))
    return [delay for delay in delays if not np.isnan(delay)]


def find(samples: NDArray[np.float32], wanted: NDArray[np.float32]) -> int | None:
    """Where ``wanted`` begins in ``samples``; None where it is not there."""
    size = 1 << (len(samples) + len(wanted)).bit_length()
    products = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(wanted, size)), size)[: len(samples)]
    place = int(np.argmax(products))
    energy = float(np.square(wanted).sum())
    return place if energy > 1 and products[place] > LIKENESS * energy else None


def see(arrivals: Sequence[Arrival], avatar: PreparedAvatar, fps: int) -> Lips:
    """Decode a viewer's H.264 packets and measure the lips in every picture."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures: list[tuple[int, float, NDArray[np.uint8]]] = []
    for time, at_s, data in _access_units(arrivals):
        for frame in decoder.decode(av.Packet(data)):
            picture = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
            pictures.append((time * fps // VIDEO_HZ, at_s, picture))
    place = _place_in_loop(
        [(number, picture) for number, _, picture in pictures[:: max(1, len(pictures) // 12)]], avatar
    )
    count, state = len(avatar.pictures), avatar.state
    assert isinstance(state, VisemeState), "the embedded avatar is drawn"
    opening = [mouth_opening(picture, state, (number + place) % count) for number, _, picture in pictures]
    return Lips(np.array([at_s for _, at_s, _ in pictures]), np.array(opening))


def _access_units(arrivals: Sequence[Arrival]) -> list[tuple[int, float, bytes]]:
    """(RTP time, arrival of its last packet, Annex B) of each picture."""
    units: dict[int, tuple[float, bytes]] = {}
    for time, at_s, payload in _in_sequence(arrivals):
        before_s, data = units.get(time, (at_s, b""))
        units[time] = (max(at_s, before_s), data + h264_depayload(payload))
    return [(time, at_s, data) for time, (at_s, data) in sorted(units.items())]


def _in_sequence(arrivals: Sequence[Arrival]) -> list[tuple[int, float, bytes]]:
    """(RTP time since the first that came, arrival, payload) of packets in the order that they were sent.

    Errors: ValueError for none.
    """
    parsed = [(arrival, RtpPacket.parse(arrival.packet, HeaderExtensionsMap())) for arrival in arrivals]
    if not parsed:
        raise ValueError("nothing came")
    first, number = parsed[0][1].timestamp, parsed[0][1].sequence_number
    parsed.sort(key=lambda entry: (entry[1].sequence_number - number + (1 << 15)) % (1 << 16))
    times = ((packet.timestamp - first) % (1 << 32) for _, packet in parsed)
    return [
        (time, arrival.at_s, packet.payload)
        for time, (arrival, packet) in zip(times, parsed, strict=True)
        if time < 1 << 31
    ]


def _place_in_loop(samples: Sequence[tuple[int, NDArray[np.uint8]]], avatar: PreparedAvatar) -> int:
    """Which picture of the idle loop was under picture 0, by the votes of some."""
    height, count = avatar.size[1], len(avatar.pictures)
    loop = np.stack([picture[:height:SHRINK, ::SHRINK] for picture in avatar.pictures]).astype(np.int16)
    votes = []
    for number, picture in samples:
        small = picture[:height:SHRINK, ::SHRINK].astype(np.int16)
        votes.append((int(np.argmin(np.abs(loop - small).mean(axis=(1, 2)))) - number) % count)
    return int(np.bincount(votes).argmax())


def lag(lips: Lips, since_s: float, reference: Lips, reference_since_s: float) -> float:
    """By how much more the lips come after ``since_s`` than the reference's after ``reference_since_s``. Units: s."""
    inside = (lips.at_s > since_s) & (lips.at_s < since_s + reference.at_s[-1] - reference_since_s)
    times, seen = lips.at_s[inside] - since_s, lips.opening[inside]
    known = reference.at_s - reference_since_s
    likeness = [np.corrcoef(seen, np.interp(times - each, known, reference.opening))[0, 1] for each in LAGS_S]
    return float(LAGS_S[int(np.nanargmax(likeness))])
