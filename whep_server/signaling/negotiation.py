"""Which sections of a player's offer are served, with which codec, and how any answer is dressed. Pure.

aiortc is shown a regular offer that holds only what is served (``Plan.peer_offer``) and its answer is then rewritten:
refused sections back in their places with port 0, the offer's own H.264 profile with the level of our pictures, one
fingerprint. What a publisher's offer is served with decides ``ingest``. Sources: RFC 9429 section 5.3, RFC 6184 section
8.2.2, RFC 8842 section 5.3, RFC 9143.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from whep_server.errors import NotAcceptable
from whep_server.signaling.sdp import Description, Offer, Section, Transport, parse_description

H264: Final = "H264"
VP8: Final = "VP8"
MAX_ANSWER_BYTES: Final = 8000
"""FFmpeg refuses answers of 8192 bytes and more."""
MAX_CANDIDATES: Final = 8
IGNORED_KBPS: Final = 64
"""What a publisher is asked to spend at most on video that nobody looks at: browsers keep to it."""
DYNAMIC_TYPES: Final = range(96, 128)
"""Payload types that aiortc takes over from an offer; others it would answer with its own."""
PEER_H264_FMTP: Final = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
"""aiortc's own name for constrained baseline; the peer's true one is put into the answer afterwards."""
OPUS_FMTP: Final = "minptime=10;useinbandfec=1"
"""Mono speech: no stereo parameter (RFC 7587 section 6.1)."""

LEVELS: Final = (
    # level_idc, most macroblocks a picture, most macroblocks a second (H.264 table A-1)
    (0x0A, 99, 1_485),
    (0x0B, 396, 3_000),
    (0x0C, 396, 6_000),
    (0x0D, 396, 11_880),
    (0x15, 792, 19_800),
    (0x16, 1_620, 20_250),
    (0x1E, 1_620, 40_500),
    (0x1F, 3_600, 108_000),
    (0x20, 5_120, 216_000),
    (0x28, 8_192, 245_760),
    (0x2A, 8_704, 522_240),
    (0x32, 22_080, 589_824),
    (0x33, 36_864, 983_040),
)

ANSWER_SETUP: Final = {"actpass": "passive", "active": "passive", "passive": "active"}
"""Our DTLS role by the offer's. Passive where free to choose: as a DTLS client aiortc offers ECDSA suites only, which a
GStreamer peer with an RSA certificate refuses; FFmpeg offers passive and must be answered active."""


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """A codec of a section, by the offer's payload types."""

    name: str
    payload_type: int
    rtx_type: int | None = None
    """Payload type of its retransmission stream (RFC 4588)."""
    profile: str = "42e0"
    """H.264: profile_idc and constraint flags as the offer writes them."""


@dataclass(frozen=True, slots=True)
class Served:
    """A section that media flows in."""

    index: int
    section: Section
    mid: str
    codec: CodecChoice


@dataclass(frozen=True, slots=True)
class Ignored:
    """A section that is accepted and whose media is thrown away: a publisher's video."""

    index: int
    section: Section
    payload_type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with an offer."""

    offer: Offer
    served: tuple[Served, ...]
    transport: Transport
    receives: bool = False
    """Whether media flows to us: a publisher's offer."""
    ignored: tuple[Ignored, ...] = ()

    def codec(self, kind: str) -> str | None:
        """Name of the codec served for ``audio`` or ``video``; None where the player takes none."""
        return next((served.codec.name for served in self.served if served.section.kind == kind), None)

    @property
    def setup(self) -> str:
        """Our DTLS role in the answer (RFC 8842 section 5.3)."""
        return ANSWER_SETUP[self.transport.setup]

    @property
    def peer_offer(self) -> str:
        """The offer as aiortc is to see it: only what is served, nothing it could stumble over."""
        group = " ".join(served.mid for served in self.served)
        direction = "sendonly" if self.receives else "recvonly"
        lite = ("a=ice-lite",) if self.transport.lite else ()
        session = ("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {group}", *lite)
        sections = (_peer_section(served, self.transport, direction) for served in self.served)
        return str(Description(session, tuple(sections)))

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the sections that share the transport, in the offer's order; empty without BUNDLE (RFC 9143)."""
        accepted = {entry.index for entry in self.served} | {entry.index for entry in self.ignored}
        sections = (self.offer.description.sections[index] for index in sorted(accepted))
        return tuple(section.mid or "" for section in sections if self.offer.bundled(section))


def plan_answer(offer: Offer, video_codecs: Sequence[str]) -> Plan:
    """Decide what of an offer is served: at most one video and one audio section, those that want to receive.

    What is left over is refused with port 0; that never fails the session.  [E-EP-09]

    Errors: NotAcceptable where no section wants to receive, where one that does has no codec of ours, or where RTP and
    RTCP would need two ports; MalformedSdp as ``Offer.transport``.
    """
    wanted: dict[str, tuple[int, Section]] = {}
    for index, section in enumerate(offer.description.sections):
        receives = offer.direction(section) in ("recvonly", "sendrecv")
        if section.kind in ("audio", "video") and receives and not offer.rejected(section):
            wanted.setdefault(section.kind, (index, section))
    if not wanted:
        raise NotAcceptable("no audio or video section asks to receive")
    if len(wanted) == 2 and not all(offer.bundled(section) for _, section in wanted.values()):
        del wanted["audio"]  # one transport a session: without BUNDLE only one section can be served
    served = tuple(
        Served(index, section, section.mid or str(index), _choose_codec(section, video_codecs))
        for index, section in sorted(wanted.values(), key=lambda item: item[0])
    )
    for entry in served:
        if entry.section.value("rtcp-mux") is None and not offer.bundled(entry.section):
            raise NotAcceptable("RTP and RTCP must share a port (rtcp-mux)")
    return Plan(offer, served, offer.transport(served[0].section))


def _choose_codec(section: Section, video_codecs: Sequence[str]) -> CodecChoice:
    """The first codec of ours that a section offers."""
    names = list(video_codecs) if section.kind == "video" else ["opus"]
    offered = offered_codecs(section)
    for name in names:
        choices = [choice for choice in offered if choice.name.lower() == name.lower()]
        if choices:
            return min(choices, key=lambda choice: _profile_rank(choice.profile))
    raise NotAcceptable(f"the {section.kind} section offers none of {', '.join(names)}")


def _profile_rank(profile: str) -> int:
    """Constrained baseline first, which is what we send; plain baseline, which contains it, after."""
    return 0 if int(profile[2:], 16) & 0x40 else 1


def offered_codecs(section: Section) -> list[CodecChoice]:
    """The codecs of a section that we know, in its order."""
    types = [kind for kind in map(payload_type, section.formats) if kind in DYNAMIC_TYPES]
    names = by_type(section, "rtpmap")
    parameters = {kind: _parameters(text) for kind, text in by_type(section, "fmtp").items()}
    retransmission = {
        parameters[kind].get("apt"): kind
        for kind in types
        if names.get(kind, "").lower() == "rtx/90000" and kind in parameters
    }
    found = []
    for kind in types:
        name = names.get(kind, "").lower()
        rtx = retransmission.get(str(kind))
        if name == "opus/48000/2":
            found.append(CodecChoice("opus", kind))
        elif name == "vp8/90000":
            found.append(CodecChoice(VP8, kind, rtx))
        elif name == "h264/90000" and (profile := baseline_profile(parameters.get(kind, {}))):
            found.append(CodecChoice(H264, kind, rtx, profile))
    return found


def baseline_profile(parameters: dict[str, str]) -> str | None:
    """The first four digits of ``profile-level-id`` where our constrained baseline pictures suit it, else None.

    Packetization mode 1 is needed (RFC 6184 section 6.3). A missing profile-level-id means baseline, level 1
    (section 8.1), but is what older WebRTC stacks write for constrained baseline.
    """
    level_id = parameters.get("profile-level-id", "42e01f").lower()
    if parameters.get("packetization-mode", "0") != "1" or not re.fullmatch(r"[0-9a-f]{6}", level_id):
        return None
    profile, flags = level_id[:2], int(level_id[2:4], 16)
    suits = (profile == "42" and not flags & 0x0F) or (profile == "4d" and flags & 0x8F == 0x80)
    return level_id[:4] if suits else None


def payload_type(text: str) -> int:
    """A format as a number; -1 where it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else -1


def by_type(section: Section, name: str) -> dict[int, str]:
    """Values of an attribute that begins with a payload type."""
    pairs = (value.split(" ", 1) for value in section.values(name))
    return {int(pair[0]): pair[1].strip() for pair in pairs if len(pair) == 2 and re.fullmatch(r"[0-9]{1,3}", pair[0])}


def _parameters(text: str) -> dict[str, str]:
    """Format parameters (RFC 6184 section 8.2.1: names and values separated by semicolons)."""
    pairs = (item.strip().partition("=") for item in text.split(";") if item.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


_EXTENSION: Final = re.compile(r"([1-9]|1[0-4])(/[a-z]+)? ([!-~]+)")


def _peer_section(served: Served, transport: Transport, direction: str) -> Section:
    codec, section = served.codec, served.section
    names = {"opus": "opus/48000/2", H264: "H264/90000", VP8: "VP8/90000"}
    lines = ["c=IN IP4 0.0.0.0", f"a=mid:{served.mid}", f"a={direction}", "a=rtcp-mux"]
    extensions = (_EXTENSION.fullmatch(value) for value in section.values("extmap"))
    lines += [f"a=extmap:{match[1]} {match[3]}" for match in extensions if match]
    lines.append(f"a=rtpmap:{codec.payload_type} {names[codec.name]}")
    if codec.name == H264:
        lines.append(f"a=fmtp:{codec.payload_type} {PEER_H264_FMTP}")
    for value in section.values("rtcp-fb"):
        kind, _, feedback = value.partition(" ")
        if kind in ("*", str(codec.payload_type)) and feedback.strip():
            lines.append(f"a=rtcp-fb:{codec.payload_type} {' '.join(feedback.split())}")
    formats = [str(codec.payload_type)]
    if codec.rtx_type is not None:
        formats.append(str(codec.rtx_type))
        lines += [f"a=rtpmap:{codec.rtx_type} rtx/90000", f"a=fmtp:{codec.rtx_type} apt={codec.payload_type}"]
    return Section(section.kind, 9, "UDP/TLS/RTP/SAVPF", tuple(formats), (*lines, *transport.lines()))


def level_of(width: int, height: int, fps: int) -> int:
    """The lowest H.264 level_idc that allows pictures of this size at this rate (table A-1)."""
    blocks = -(-width // 16) * -(-height // 16)
    return next((idc for idc, size, rate in LEVELS if blocks <= size and blocks * fps <= rate), LEVELS[-1][0])


def set_role(answer: str, plan: Plan) -> str:
    """The peer connection's answer with our DTLS role; to be done before it becomes the local description.

    [I-EP-18]
    """
    return re.sub(r"(?m)^a=setup:\w+", f"a=setup:{plan.setup}", answer)


def dress_answer(answer: str, plan: Plan, level_idc: int, origins: Mapping[str, int] | None = None) -> str:
    """The peer connection's complete answer as the peer gets it, below 8000 bytes. Errors: NotAcceptable.

    Every section of the offer is answered in its place; those not served carry port 0 (RFC 9429 section 5.3.1). All
    candidates are in it, IPv4 before the others.  [I-EP-05] [I-EP-12] [E-EP-04] [E-EP-15]

    ``origins``, RTP times at media time 0 by kind, are told to the peer.
    """
    ours = parse_description(answer)
    by_mid = {section.mid: section for section in ours.sections}
    ignored = {entry.index: entry for entry in plan.ignored}
    served = {entry.index: entry for entry in plan.served}
    for count in range(MAX_CANDIDATES, 0, -1):
        dressed: list[Section] = []
        for index, section in enumerate(plan.offer.description.sections):
            if index in served:
                entry = served[index]
                answered = _dressed(by_mid[entry.mid], entry, level_idc, count)
                dressed.append(_clocked(answered, (origins or {}).get(section.kind)))
            elif index in ignored:
                first = by_mid[plan.served[0].mid]
                dressed.append(_accepted(ignored[index], _dressed(first, plan.served[0], level_idc, count)))
            else:
                dressed.append(_refused(section))
        text = str(Description(_session_lines(ours, plan), tuple(dressed)))
        if len(text) < MAX_ANSWER_BYTES:
            return text
    raise NotAcceptable("the offer has so many sections that its answer would be too long")


def _session_lines(ours: Description, plan: Plan) -> tuple[str, ...]:
    """The session's lines, with everything that is accepted in one BUNDLE group.  [I-EP-14] [E-EP-17] [I-MS-01]"""
    kept = [line for line in ours.lines if not line.startswith("a=group:")]
    return (*kept, *([f"a=group:BUNDLE {' '.join(plan.bundle)}"] if plan.bundle else []))


def _refused(section: Section) -> Section:
    mid = (f"a=mid:{section.mid}",) if section.mid is not None else ()
    return Section(section.kind, 0, section.protocol, section.formats[:1], ("c=IN IP4 0.0.0.0", *mid, "a=inactive"))


TRANSPORT_LINES: Final = ("a=candidate:", "a=end-of-", "a=ice-", "a=fingerprint:", "a=setup:")
"""Beginnings of the lines that say where and how a section's transport is reached."""


def _accepted(ignored: Ignored, served: Section) -> Section:
    """A section whose media is thrown away, on the transport of ``served``; asks the publisher to send little."""
    kind = ignored.payload_type
    own = [f"a=rtpmap:{kind} {by_type(ignored.section, 'rtpmap')[int(kind)]}"]
    own += [f"a=fmtp:{kind} {text}" for at, text in by_type(ignored.section, "fmtp").items() if at == int(kind)]
    mid = [f"a=mid:{ignored.section.mid}"] if ignored.section.mid is not None else []
    lines = (
        "c=IN IP4 0.0.0.0",
        f"b=AS:{IGNORED_KBPS}",
        "a=recvonly",
        *mid,
        "a=rtcp-mux",
        "a=rtcp-mux-only",
        *own,
        *(line for line in served.lines if line.startswith(TRANSPORT_LINES)),
    )
    return Section(ignored.section.kind, served.port, ignored.section.protocol, (kind,), lines)


def _dressed(section: Section, served: Served, level_idc: int, candidates: int) -> Section:
    """A served section: RTP and RTCP on one port and no other (RFC 8858), constraints of our codec.  [I-EP-15]"""
    lines: list[str] = []
    kept = 0
    for line in section.lines:
        if line.startswith("a=candidate:"):
            kept += 1
        if _dropped(line, served, kept > candidates):
            continue
        lines.append(_rewritten(line, served, level_idc))
        if line == "a=rtcp-mux":
            lines.append("a=rtcp-mux-only")
        elif line.startswith("a=rtpmap:") and served.codec.name == "opus":
            lines.append(f"a=fmtp:{served.codec.payload_type} {OPUS_FMTP}")
    lines.append("a=ice-options:trickle")
    return Section(section.kind, section.port, served.section.protocol, section.formats, tuple(lines))


def _clocked(section: Section, origin: int | None) -> Section:
    """A section that says which RTP time media time 0 has: what our events tell in media time is found by it.

    RFC 7273 sections 4.6 and 5.2; our clock is nobody else's, so all that can be told is its epoch.
    """
    if origin is None:
        return section
    return replace(section, lines=(*section.lines, "a=ts-refclk:local", f"a=mediaclk:direct={origin}"))


def _dropped(line: str, served: Served, crowded: bool) -> bool:
    """Whether a line stays out: libdatachannel refuses one connection in three with sha-384 and sha-512 in it."""
    if line.startswith("a=fingerprint:"):
        return not line.startswith("a=fingerprint:sha-256 ")
    if line.startswith("a=candidate:"):
        return crowded
    return line.startswith("a=mid:") and served.section.mid is None


def _rewritten(line: str, served: Served, level_idc: int) -> str:
    codec = served.codec
    if codec.name == H264 and line.startswith(f"a=fmtp:{codec.payload_type} "):
        return (
            f"a=fmtp:{codec.payload_type} level-asymmetry-allowed=1;packetization-mode=1;"
            f"profile-level-id={codec.profile}{level_idc:02x}"
        )
    return line
