"""Media to send: Opus silence and a small H.264 test picture as RTP with sender reports, by a clock. Pure.

A publisher sends it to a server under test, the mock server to its players. What a faulty sender does otherwise is an
``Oddities``. The Opus packet is one 20 ms CELT frame of digital silence (RFC 6716 section 3.1: config 31, mono).
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from conformance.agent.h264_bits import SliceType, write_idr, write_parameter_sets, write_repeat
from conformance.agent.packets import packetize_h264
from conformance.agent.rtcp import Name, RtcpPacket, SenderReport, ntp_time
from conformance.agent.rtp import RtpPacket

OPUS_SILENCE: Final = b"\xf8\xff\xfe"
OPUS_PACKET_S: Final = 0.02
PICTURE_S: Final = 0.1
PICTURES_A_KEYFRAME: Final = 50
REPORT_S: Final = 0.5
CLOCKS: Final = {"audio": 48000, "video": 90000}
BEHIND_S: Final = 1.0
"""A sender that was held up longer than this skips what it missed."""


@dataclass(frozen=True, slots=True)
class Oddities:
    """What a sender does wrong."""

    keyframe_first: bool = True
    keyframe_on_request: bool = True
    b_frames: bool = False
    level_id: str = "42e01f"
    """What the parameter sets say."""
    reports: bool = True
    one_name: bool = True
    gap_every: int = 0
    """One sequence number in so many is left out."""
    audio: bool = True


@dataclass(slots=True)
class Track:
    """One RTP stream that is being sent."""

    kind: str
    payload_type: int
    step_s: float
    cname: str
    mid: tuple[tuple[int, bytes], ...] = ()
    """The mid as header extension, where one was agreed."""
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    count: int = 0
    """Units sent: Opus packets or pictures."""
    packets: int = 0
    octets: int = 0
    _sequence: int = field(default_factory=lambda: secrets.randbits(15))
    _offset: int = field(default_factory=lambda: secrets.randbits(31))

    @property
    def rtp_time(self) -> int:
        """RTP time of the next unit."""
        return (self._offset + round(self.count * self.step_s * CLOCKS[self.kind])) % (1 << 32)

    def packetize(self, payloads: list[bytes], gap_every: int = 0) -> Iterator[RtpPacket]:
        """One unit as RTP packets."""
        for number, payload in enumerate(payloads, 1):
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self.octets += len(payload)
            if gap_every and self.packets % gap_every == 0:
                continue
            marker = self.kind == "video" and number == len(payloads)
            yield RtpPacket(self.payload_type, self._sequence, self.rtp_time, self.ssrc, payload, marker, self.mid)
        self.count += 1


class MediaSource:
    """Sends on its tracks whatever is due."""

    def __init__(self, tracks: list[Track], oddities: Oddities = Oddities()) -> None:
        self.tracks = tracks
        self._odd = oddities
        self._start_s: float | None = None
        self._reported_s = 0.0
        self._since_keyframe = PICTURES_A_KEYFRAME if oddities.keyframe_first else 1
        self._keyframes = 0

    def request_keyframe(self) -> None:
        """The receiver asked for a keyframe."""
        if self._odd.keyframe_on_request:
            self._since_keyframe = PICTURES_A_KEYFRAME

    def due(self, now_s: float) -> list[RtpPacket]:
        """The packets whose time has come."""
        if self._start_s is None:
            self._start_s = self._reported_s = now_s
        found: list[RtpPacket] = []
        for track in self.tracks:
            while self._start_s + track.count * track.step_s <= now_s:
                if now_s - (self._start_s + track.count * track.step_s) > BEHIND_S:
                    track.count += 1
                    continue
                found += track.packetize(self._unit(track), self._odd.gap_every)
        return found

    def reports_due(self, now_s: float, unix_s: float) -> list[list[RtcpPacket]]:
        """A compound of sender report and name for each track, every half second."""
        if self._start_s is None or now_s - self._reported_s < REPORT_S or not self._odd.reports:
            return []
        self._reported_s = now_s
        ntp = ntp_time(unix_s - now_s + self._start_s)
        compounds: list[list[RtcpPacket]] = []
        for number, track in enumerate(self.tracks):
            at = ntp + int(track.count * track.step_s * 2**32)
            cname = track.cname if self._odd.one_name else f"{track.cname}-{number}"
            report = SenderReport(track.ssrc, at, track.rtp_time, track.packets, track.octets)
            compounds.append([report, Name(track.ssrc, cname)])
        return compounds

    def _unit(self, track: Track) -> list[bytes]:
        if track.kind == "audio":
            return [OPUS_SILENCE]
        self._since_keyframe += 1
        if self._since_keyframe > PICTURES_A_KEYFRAME:
            self._since_keyframe = 0
            self._keyframes += 1
            shade = 16 + 10 * (self._keyframes % 20)
            return packetize_h264([*write_parameter_sets(self._odd.level_id), write_idr(self._keyframes, shade)])
        kind = SliceType.B if self._odd.b_frames and self._since_keyframe % 2 else SliceType.P
        return packetize_h264([write_repeat(self._since_keyframe, kind)])
