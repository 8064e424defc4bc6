"""Carries units that are already cut into RTP payloads through aiortc's senders: once a stream, not once a viewer.

Everything of aiortc's that is private stands in this file. Relied on, read at aiortc 1.16.0 and used nowhere else:

    RTCRtpSender._next_encoded_frame   replaced on the instance: gives one unit at a time, with its RTP time
    RTCRtpSender._send_keyframe        replaced on the instance: RTCP PLI and FIR end up there
    aiortc.rtcrtpsender.RTCEncodedFrame

A later sender that encrypts one packetised unit for all viewers at once takes the place of ``attach``; whoever feeds a
``UnitSource`` need not know.
"""

from collections.abc import Sequence
from typing import Final, NoReturn, Protocol, cast

from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame

NO_LEVEL: Final = cast(int, None)
"""No audio level header extension; aiortc's own annotation forgets that it may be None."""


class Sendable(Protocol):
    """One picture or audio packet, ready for RTP."""

    @property
    def payloads(self) -> Sequence[bytes]:
        """RTP payloads in order; the last one gets the marker bit."""
        ...

    @property
    def rtp_time(self) -> int:
        """Media time in ticks of the RTP clock; the sender adds its random origin."""
        ...


class UnitSource(Protocol):
    """Where a sender gets its units from, and tells of lost pictures."""

    async def next_unit(self) -> Sendable:
        """The next unit; waits for one."""
        ...

    def request_keyframe(self) -> None:
        """The peer cannot go on without a keyframe."""
        ...


class SourceTrack(MediaStreamTrack):
    """Makes aiortc's sender run; it is never read, since the sender takes units from its source."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__()

    async def recv(self) -> NoReturn:
        """Never called while ``attach`` holds; ends the sender where an aiortc release should read tracks again."""
        raise MediaStreamError


def attach(sender: RTCRtpSender, source: UnitSource) -> None:
    """Make ``sender`` carry what ``source`` gives."""

    async def next_encoded_frame(_codec: RTCRtpCodecParameters) -> RTCEncodedFrame:
        unit = await source.next_unit()
        return RTCEncodedFrame(list(unit.payloads), unit.rtp_time & 0xFFFFFFFF, NO_LEVEL)

    sender._next_encoded_frame = next_encoded_frame  # type: ignore[method-assign, assignment]  # the module says why
    sender._send_keyframe = source.request_keyframe  # type: ignore[method-assign]  # likewise
