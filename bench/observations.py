"""What an observer got, as it is kept, and put in order: packets with their times, and the sender's clock. Pure.

RTP times and sequence numbers are unwrapped from the first packet on (RFC 3550 appendix A.1).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from avatar.messages import AUDIO_HZ, VIDEO_HZ
from bench.flows import payload_at

CLOCKS_HZ: Final = {"audio": AUDIO_HZ, "video": VIDEO_HZ}


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One RTP packet. Units: seconds on the monotonic clock, when it was read off the socket."""

    at_s: float
    packet: bytes


class SenderReport(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The sender's wall clock at an RTP time, which wraps."""

    ntp_s: float
    rtp_time: int


class Observation(msgspec.Struct):
    """All that came; packets decrypted, or their headers alone. As ``observer.Tap`` it fills itself."""

    stream: str = ""
    audio: list[Arrival] = []
    video: list[Arrival] = []
    audio_reports: list[SenderReport] = []
    video_reports: list[SenderReport] = []
    lost: int = 0
    """Packets that never came, not even when they were asked for again."""

    def take(self, kind: str, at_s: float, packet: bytes) -> None:
        """Keep a packet."""
        (self.audio if kind == "audio" else self.video).append(Arrival(at_s, packet))

    def report(self, kind: str, ntp_s: float, rtp_time: int) -> None:
        """Keep a sender report."""
        (self.audio_reports if kind == "audio" else self.video_reports).append(SenderReport(ntp_s, rtp_time))


def save(path: Path, observations: Sequence[Observation]) -> None:
    """All of a process's: a folder with a file for each, in order."""
    path.mkdir(exist_ok=True)
    for old in path.iterdir():
        old.unlink()
    for number, each in enumerate(observations):
        (path / f"{number}").write_bytes(msgspec.msgpack.encode(each))


def load(path: Path) -> list[Observation]:
    """What ``save`` wrote."""
    return [load_one(path, number) for number in range(sum(1 for _ in path.iterdir()))]


def load_one(path: Path, number: int) -> Observation:
    """One of them: there may be a gigabyte of all."""
    return msgspec.msgpack.decode((path / f"{number}").read_bytes(), type=Observation)


@dataclass(frozen=True, slots=True)
class Piece:
    """One packet of a track."""

    sequence: int
    rtp_time: int
    at_s: float
    marker: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unit:
    """The packets of one RTP time: a picture, or a packet of sound."""

    rtp_time: int
    at_s: float
    """When it was whole."""
    payloads: list[bytes]
    whole: bool
    """Nothing of it is missing, as far as its numbers tell."""


class Track:
    """One stream of an observation, in the order it was sent."""

    def __init__(self, kind: str, arrivals: Sequence[Arrival], reports: Sequence[SenderReport]) -> None:
        """Errors: ValueError where nothing came."""
        if not arrivals:
            raise ValueError("nothing came")
        self.hz = CLOCKS_HZ[kind]
        self._origin = int.from_bytes(arrivals[0].packet[4:8], "big")
        self.pieces = _in_order(arrivals)
        self._reports = sorted((self._origin + self._since(each.rtp_time), each.ntp_s) for each in reports)

    def _since(self, rtp_time: int) -> int:
        """Ticks from the first packet, for times within six hours of it (video) or twelve (sound)."""
        ticks = (rtp_time - self._origin) & 0xFFFFFFFF
        return ticks if ticks < 1 << 31 else ticks - (1 << 32)

    def units(self) -> list[Unit]:
        """Pictures, or packets of sound, in order. For pictures ``whole`` asks for a marker and no gap before it."""
        groups: list[list[Piece]] = []
        for piece in self.pieces:
            if groups and groups[-1][0].rtp_time == piece.rtp_time:
                groups[-1].append(piece)
            else:
                groups.append([piece])
        before: int | None = None
        units = []
        for group in groups:
            first, last = group[0].sequence, group[-1].sequence
            gapless = last - first + 1 == len(group) and before in (None, first - 1)
            marked = group[-1].marker or self.hz == AUDIO_HZ
            at_s = max(piece.at_s for piece in group)
            units.append(Unit(group[0].rtp_time, at_s, [piece.payload for piece in group], gapless and marked))
            before = last
        return units

    def ntp_s(self, rtp_time: int) -> float:
        """The sender's wall clock then, as the newest report before it says; the first one's for what is earlier.

        Errors: ValueError where no report came.
        """
        if not self._reports:
            raise ValueError("no sender report came")
        known, ntp_s = self._reports[max(0, bisect_right(self._reports, (rtp_time, float("inf"))) - 1)]
        return ntp_s + (rtp_time - known) / self.hz


def _in_order(arrivals: Sequence[Arrival]) -> list[Piece]:
    """By sequence number; what came twice, once."""
    pieces: dict[int, Piece] = {}
    newest, newest_time = (int.from_bytes(arrivals[0].packet[at : at + size], "big") for at, size in ((2, 2), (4, 4)))
    for arrival in arrivals:
        packet = arrival.packet
        sequence = newest + _signed(int.from_bytes(packet[2:4], "big") - newest, 16)
        rtp_time = newest_time + _signed(int.from_bytes(packet[4:8], "big") - newest_time, 32)
        newest, newest_time = max(newest, sequence), max(newest_time, rtp_time)
        if sequence not in pieces:
            payload = packet[payload_at(packet) : _payload_end(packet)] if len(packet) > 12 else b""
            pieces[sequence] = Piece(sequence, rtp_time, arrival.at_s, bool(packet[1] & 0x80), payload)
    return [pieces[sequence] for sequence in sorted(pieces)]


def _payload_end(packet: bytes) -> int:
    """Padding left out (RFC 3550 section 5.1)."""
    return len(packet) - packet[-1] if packet[0] & 0x20 else len(packet)


def _signed(difference: int, bits: int) -> int:
    """A difference of numbers that wrap: the one nearest to 0."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half


def tracks(seen: Observation) -> tuple[Track, Track]:
    """Sound and pictures. Errors: ValueError where either did not come."""
    return Track("audio", seen.audio, seen.audio_reports), Track("video", seen.video, seen.video_reports)
