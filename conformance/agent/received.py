"""What arrived of a session's media: packets by source, pictures, reports. Pure; times are the caller's."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.agent.h264_bits import IDR, ParameterSet, SliceType, nal_type, read_parameter_set, read_slice_type
from conformance.agent.packets import H264Depacketizer, read_vp8_start
from conformance.agent.rtcp import Bye, Name, Report, RtcpPacket, SenderReport
from conformance.agent.rtp import RtpPacket

HALF: Final = 1 << 15
WHOLE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Format:
    """What a payload type means."""

    kind: str
    """``audio`` or ``video``."""
    codec: str
    """Lower-case encoding name: ``opus``, ``h264``, ``vp8``, ``rtx``."""


@dataclass(slots=True)
class Pictures:
    """The pictures of one video source, as far as their headers tell."""

    codec: str
    keyframes_s: list[float] = field(default_factory=list)
    """When each keyframe's first part was read."""
    begins_with_keyframe: bool | None = None
    """Whether the first picture is one; None while nothing is known."""
    parameter_sets: set[ParameterSet] = field(default_factory=set)
    slice_types: set[SliceType] = field(default_factory=set)
    _depacketizer: H264Depacketizer = field(default_factory=H264Depacketizer)
    _first_time: int | None = None
    _keyframe_time: int | None = None

    def push(self, packet: RtpPacket, now_s: float) -> None:
        """One more packet of the source, in the order of arrival."""
        if self._first_time is None:
            self._first_time = packet.rtp_time
        if self._is_keyframe(packet) and self._keyframe_time != packet.rtp_time:
            self._keyframe_time = packet.rtp_time
            self.keyframes_s.append(now_s)
        if self.begins_with_keyframe is None and self._keyframe_time == self._first_time:
            self.begins_with_keyframe = True
        elif self.begins_with_keyframe is None and (packet.marker or packet.rtp_time != self._first_time):
            self.begins_with_keyframe = False

    def _is_keyframe(self, packet: RtpPacket) -> bool:
        if self.codec == "vp8":
            start = read_vp8_start(packet.payload)
            return start is not None and start.keyframe
        keyframe = False
        for nal in self._depacketizer.push(packet.sequence, packet.payload):
            keyframe = keyframe or nal_type(nal) == IDR
            parameters, kind = read_parameter_set(nal), read_slice_type(nal)
            if parameters is not None:
                self.parameter_sets.add(parameters)
            if kind is not None:
                self.slice_types.add(kind)
        return keyframe


@dataclass(slots=True)
class Source:
    """One RTP source (SSRC)."""

    ssrc: int
    format: Format
    first_s: float
    last_s: float
    packets: int = 0
    by_path: Counter[int] = field(default_factory=Counter)
    """Packets by the socket they came in on."""
    pictures: Pictures | None = None
    reports: list[SenderReport] = field(default_factory=list)
    _lowest: int = 0
    _highest: int = 0
    _seen: set[int] = field(default_factory=set)
    """Extended sequence numbers."""

    def push(self, packet: RtpPacket, path: int, now_s: float) -> None:
        """One more packet."""
        if not self.packets:
            self._lowest = self._highest = packet.sequence
        step = (packet.sequence - self._highest + HALF) % WHOLE - HALF
        extended = self._highest + step
        self._lowest, self._highest = min(self._lowest, extended), max(self._highest, extended)
        self._seen.add(extended)
        self.packets += 1
        self.by_path[path] += 1
        self.last_s = now_s
        if self.pictures is not None and packet.payload:
            self.pictures.push(packet, now_s)

    @property
    def missing(self) -> int:
        """Sequence numbers between the first and the last packet that did not arrive."""
        return self._highest - self._lowest + 1 - len(self._seen) if self.packets else 0


@dataclass(slots=True)
class MediaLog:
    """All that arrived."""

    formats: Mapping[int, Format]
    """By payload type, as the answer agreed them."""
    sources: dict[int, Source] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """CNAME by source."""
    ended: set[int] = field(default_factory=set)
    """Sources that said BYE."""
    reception: dict[int, list[Report]] = field(default_factory=dict)
    """What the peer reported about our sources."""
    last_rtp_s: float | None = None
    damaged: int = 0
    """Packets that could not be decrypted or read."""
    strangers: Counter[int] = field(default_factory=Counter)
    """Packets with a payload type that was not agreed."""
    _early: dict[int, list[SenderReport]] = field(default_factory=dict)
    """Reports about sources of which no packet arrived yet."""

    def rtp(self, packet: RtpPacket, path: int, now_s: float) -> None:
        """An RTP packet arrived."""
        self.last_rtp_s = now_s
        agreed = self.formats.get(packet.payload_type)
        if agreed is None:
            self.strangers[packet.payload_type] += 1
            return
        source = self.sources.get(packet.ssrc)
        if source is None:
            pictures = Pictures(agreed.codec) if agreed.codec in ("h264", "vp8") else None
            source = Source(packet.ssrc, agreed, now_s, now_s, pictures=pictures)
            source.reports += self._early.pop(packet.ssrc, [])
            self.sources[packet.ssrc] = source
        source.push(packet, path, now_s)

    def rtcp(self, packet: RtcpPacket) -> None:
        """A part of an RTCP compound arrived."""
        if isinstance(packet, SenderReport):
            source = self.sources.get(packet.ssrc)
            (source.reports if source else self._early.setdefault(packet.ssrc, [])).append(packet)
        if isinstance(packet, Name):
            self.names[packet.ssrc] = packet.cname
        elif isinstance(packet, Bye):
            self.ended.update(packet.ssrcs)
        for report in getattr(packet, "reports", ()):
            self.reception.setdefault(report.ssrc, []).append(report)

    def main(self, kind: str) -> Source | None:
        """The source of a kind with the most packets; retransmissions do not count."""
        of_kind = [s for s in self.sources.values() if s.format.kind == kind and s.format.codec != "rtx"]
        return max(of_kind, key=lambda source: source.packets, default=None)
