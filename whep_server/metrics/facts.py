"""What can be known of sessions, streams and processes at one moment: plain values, no behaviour.

Names are those of the W3C's statistics (webrtc-stats) where it has them, written as Python writes names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class IceFailure(StrEnum):
    """Why media never flowed, or flows no more."""

    GATHERING = "gathering"
    """Our candidates were not found in time: a STUN or TURN server is silent."""
    UNREACHED = "unreached"
    """No check of the peer's arrived: it cannot reach the addresses that it was told, or went away at once."""
    UNANSWERED = "unanswered"
    """Checks arrived, but no pair works in both directions."""
    DTLS = "dtls"
    """A pair works, but the keys were never agreed on."""
    CONSENT = "consent"
    """It was connected; then nothing was heard of the peer any more."""


class Cause(StrEnum):
    """Why speech is interrupted."""

    ASKED = "asked"
    """Somebody asked for silence."""
    CANCELLED = "cancelled"
    """Who streamed it in takes it back."""
    VOICE = "voice"
    """A publisher's voice was heard."""


@dataclass(frozen=True, slots=True)
class CandidatePair:
    """The way that media takes. Types: host, srflx, prflx (learnt from a check) or relay."""

    local: str
    remote: str
    protocol: str = "udp"


@dataclass(frozen=True, slots=True)
class MediaStats:
    """One track of a session. What the peer reports is None until its first report."""

    codec: str
    """H264, VP8 or opus."""
    frames_sent: int = 0
    """Pictures, or audio packets, that left whole."""
    frames_dropped: int = 0
    """Those that the viewer was too slow for."""
    packets_sent: int = 0
    bytes_sent: int = 0
    """Payloads of RTP; headers and what is sent again do not count."""
    retransmitted_packets_sent: int = 0
    """What was lost and sent again; not among ``packets_sent``."""
    packets_discarded_on_send: int = 0
    """Of all these, what this machine had no room for; to the viewer they are lost."""
    packets_lost: int | None = None
    """On the way to the viewer as its last receiver report says, or on the way from a publisher as we count."""
    fraction_lost: float | None = None
    """Between the viewer's last two reports, 0 to 1."""
    jitter_s: float | None = None
    round_trip_time_s: float | None = None
    pli_count: int = 0
    """How often the viewer asked for a keyframe: picture loss indications and full intra requests."""
    nack_count: int = 0
    """How often it asked for packets again."""
    packets_received: int = 0
    bytes_received: int = 0
    frame_width: int | None = None
    """Of the pictures that are sent now: which rendition it is. None before the first one, and for sound."""
    frame_height: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One session, of a viewer or a publisher."""

    kind: str
    """viewer or publisher."""
    connection_state: str
    """new, connecting, connected, disconnected (nothing heard for some seconds), failed or closed."""
    ice_state: str
    """new, checking, completed, disconnected, failed or closed."""
    ice_restarts: int = 0
    candidate_pair: CandidatePair | None = None
    connected_s: float = 0.0
    """How long it has been connected, or was."""
    video: MediaStats | None = None
    audio: MediaStats | None = None
    ending: str | None = None
    """How it ended; None while it has not."""
    ice_failure: IceFailure | None = None

    @property
    def media(self) -> Mapping[str, MediaStats]:
        """Its tracks by kind."""
        return {kind: track for kind, track in (("video", self.video), ("audio", self.audio)) if track is not None}

    @property
    def bytes_sent(self) -> int:
        """Both tracks together."""
        return sum(track.bytes_sent for track in self.media.values())

    @property
    def packets_sent(self) -> int:
        """Both tracks together."""
        return sum(track.packets_sent for track in self.media.values())

    @property
    def packets_lost(self) -> int | None:
        """Both tracks together; None before the first report."""
        known = [track.packets_lost for track in self.media.values() if track.packets_lost is not None]
        return sum(known) if known else None

    @property
    def round_trip_time_s(self) -> float | None:
        """The longer of both tracks'; None before the first report."""
        known = [each.round_trip_time_s for each in self.media.values() if each.round_trip_time_s is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class UtteranceStats:
    """What became of an utterance, and how soon. None: not got so far.

    Times run from the end of its upload, or, of one that is streamed in, from its first samples.
    """

    state: str
    """queued, started, finished, failed, refused, abandoned, interrupted (cut off) or cancelled (never begun)."""
    seconds: float | None = None
    """Its length, as far as it is known."""
    waited: bool = False
    """Whether others were to be spoken first, so that the times tell of them."""
    accepted_s: float | None = None
    """Decoded so far that it can be spoken."""
    started_s: float | None = None
    """Its first sample is due."""
    pictured_s: float | None = None
    """The first picture that was made for it goes to the viewers."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream."""

    name: str
    listed: bool
    """Where it is not, the name is a secret."""
    state: str
    viewers: int
    publisher: bool
    queued: int
    """Utterances that were accepted and have not begun."""
    talks: bool = False
    """Whether it has one of the places of those that may speak at one time."""
    engine: str = "viseme"
    """What makes its avatar speak."""
    units_dropped: int = 0
    """Pictures and sounds that came from the worker and were never due: too old, too many, cut off."""
    silent_packets: int = 0
    """Packets of speech that did not come in time, silence in their place."""
    utterances: Mapping[str, int] = field(default_factory=dict)
    """How many are over, by how they ended."""
    last_utterance: UtteranceStats | None = None


@dataclass(frozen=True, slots=True)
class HeldAvatar:
    """An avatar in the worker's memory, at one size."""

    name: str
    held_bytes: int
    streams: int
    """That show it; where there is none, it goes when others need the room."""
    loads: int
    """Times that it was loaded."""


@dataclass(frozen=True, slots=True)
class AvatarFacts:
    """Avatars in the worker's memory."""

    held: Sequence[HeldAvatar] = ()
    most_bytes: int = 0
    """So much they may take."""
    hits: int = 0
    """Times that a stream found its avatar there."""
    misses: int = 0
    """Times that one was loaded."""
    evictions: int = 0
    """Times that one had to go."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """The worker process as of its last sign of life; what it counts begins anew with each process."""

    ready: bool
    frames: int = 0
    late_frames: int = 0
    """Not drawn, because their time had passed."""
    live_streams: int = 0
    stage_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent by stage: engine, draw, compose, scale, encode."""
    cpu_s: float = 0.0
    rss_bytes: int = 0
    quick: bool = False
    """Whether it encodes quicker and coarser, because it does not keep up."""
    avatars: AvatarFacts = AvatarFacts()
    slack: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)
    """Pictures by how many seconds before they were due they were finished, by engine: bounds in ascending order, the
    last one infinite, and how many are above the bound before and at most at this one."""


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """All that is on air."""

    ready: bool
    streams: Sequence[StreamStats]
    sessions: Sequence[SessionStats]
    """Those that are open."""
    worker: WorkerFacts
    max_speaking: Mapping[str, int] = field(default_factory=dict)
    """How many streams of each engine's may speak at one time, if no others do; 0: as many as want to."""
    draining: bool = False
    """Whether the server is to end, and takes nothing new."""
    owed: int = 0
    """Utterances that it speaks to their end before; 0 while it is not to end."""
    preparations: Mapping[str, int] = field(default_factory=dict)
    """Avatars in the making: how many are queued, and whether one is preparing."""
