"""Offers and fragments to send: valid in structure, random in credentials, and pointing nowhere.

The one candidate is in TEST-NET-1 (RFC 5737), so that a server's connectivity checks disturb nobody. The fingerprint is
of a real self-signed certificate made for the offer. Live checks put their own identity and candidates in.
"""

import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from conformance import ProtocolName

ICE_CHARS: Final = string.ascii_letters + string.digits + "+/"
HOST: Final = "1 1 udp 2130706431 192.0.2.1 50000 typ host"
"""A candidate that leads nowhere."""
SDP: Final = "application/sdp"
SDPFRAG: Final = "application/trickle-ice-sdpfrag"


def ice_string(length: int) -> str:
    """Random ICE characters (RFC 8839 section 5.4)."""
    return "".join(secrets.choice(ICE_CHARS) for _ in range(length))


def new_fingerprint() -> str:
    """``sha-256 AB:CD:…`` of a new self-signed certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "conformance")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return "sha-256 " + certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@dataclass(frozen=True, slots=True)
class Identity:
    """What ICE and DTLS know a peer by."""

    ufrag: str = field(default_factory=lambda: ice_string(8))
    password: str = field(default_factory=lambda: ice_string(24))
    fingerprint: str = field(default_factory=new_fingerprint)

    def restarted(self) -> "Identity":
        """The same certificate with new ICE credentials."""
        return Identity(fingerprint=self.fingerprint)


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type."""

    payload: int
    name: str
    fmtp: str | None = None
    feedback: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Its attributes."""
        lines = [f"a=rtpmap:{self.payload} {self.name}"]
        lines += [f"a=rtcp-fb:{self.payload} {kind}" for kind in self.feedback]
        return lines + ([f"a=fmtp:{self.payload} {self.fmtp}"] if self.fmtp else [])


VIDEO_FEEDBACK: Final = ("ccm fir", "nack", "nack pli")
OPUS: Final = Codec(111, "opus/48000/2", "minptime=10;useinbandfec=1")
VP8: Final = Codec(96, "VP8/90000", None, VIDEO_FEEDBACK)
H264: Final = Codec(
    102, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", VIDEO_FEEDBACK
)
UNKNOWN_AUDIO: Final = Codec(98, "X-NONE/48000")
UNKNOWN_VIDEO: Final = Codec(99, "X-NONE/90000")
MID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of an offer."""

    kind: str
    mid: str
    direction: str
    codecs: tuple[Codec, ...]
    port: int = 9
    extra: tuple[str, ...] = ()
    """Further lines, as they are to stand."""
    transport: bool = True
    """Whether it carries the ICE and DTLS lines."""

    def lines(self, transport: list[str]) -> list[str]:
        """The section's lines."""
        if self.kind == "application":
            head = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=sctp-port:5000"]
            return [*head, f"a=mid:{self.mid}", *transport, *self.extra]
        formats = " ".join(str(codec.payload) for codec in self.codecs)
        head = [f"m={self.kind} {self.port} UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{self.mid}"]
        mux = ["a=rtcp-mux", "a=rtcp-mux-only", "a=rtcp-rsize"] if self.transport else []
        body = [line for codec in self.codecs for line in codec.lines()]
        return [*head, f"a={self.direction}", *(transport if self.transport else []), *mux, *body, *self.extra]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as data; ``text`` is what goes over the wire. Variants by ``dataclasses.replace``."""

    sections: tuple[Section, ...]
    identity: Identity = field(default_factory=Identity)
    candidates: tuple[str, ...] = (HOST,)
    """What follows ``a=candidate:``; in the first section."""
    end_of_candidates: bool = False
    setup: str = "actpass"
    ice_options: str = "trickle"
    session_level: bool = False
    """ICE and DTLS lines once, above the sections, as OBS 30 wrote them."""
    session_lines: tuple[str, ...] = ()
    newline: str = "\r\n"

    @property
    def mids(self) -> list[str]:
        """The sections' names."""
        return [section.mid for section in self.sections]

    @property
    def text(self) -> str:
        """The session description."""
        transport = [
            f"a=ice-ufrag:{self.identity.ufrag}",
            f"a=ice-pwd:{self.identity.password}",
            f"a=ice-options:{self.ice_options}",
            f"a=fingerprint:{self.identity.fingerprint}",
            f"a=setup:{self.setup}",
        ]
        lines = ["v=0", f"o=- {secrets.randbits(62)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        lines += [f"a=group:BUNDLE {' '.join(self.mids)}", *self.session_lines]
        lines += transport if self.session_level else []
        for number, section in enumerate(self.sections):
            lines += section.lines([] if self.session_level else transport)
            if number == 0:
                lines += [f"a=candidate:{candidate}" for candidate in self.candidates]
                lines += ["a=end-of-candidates"] if self.end_of_candidates else []
        return "".join(f"{line}{self.newline}" for line in lines)

    def directed(self, direction: str) -> "Offer":
        """The same with every section in one direction."""
        sections = tuple(replace(section, direction=direction) for section in self.sections)
        return replace(self, sections=sections)


def audio(protocol: ProtocolName, *codecs: Codec, mid: str = "0") -> Section:
    """An audio section of the protocol's direction; Opus unless told otherwise."""
    return _section(protocol, "audio", mid, codecs or (OPUS,))


def video(protocol: ProtocolName, *codecs: Codec, mid: str = "1") -> Section:
    """A video section of the protocol's direction; VP8 and H264 unless told otherwise."""
    return _section(protocol, "video", mid, codecs or (VP8, H264))


def _section(protocol: ProtocolName, kind: str, mid: str, codecs: tuple[Codec, ...]) -> Section:
    extra = [f"a=extmap:4 {MID_EXTENSION}"]
    if protocol == "whip":
        extra.append(f"a=msid:conformance {kind}-track")
    return Section(kind, mid, "sendonly" if protocol == "whip" else "recvonly", codecs, extra=tuple(extra))


def make_offer(protocol: ProtocolName, *sections: Section) -> Offer:
    """An offer that every server should take: audio and video, BUNDLE, muxed, actpass."""
    return Offer(sections or (audio(protocol), video(protocol)))


def without_lines(text: str, *beginnings: str) -> str:
    """A description less the lines that begin so."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(beginnings))


def fragment(
    offer: Offer,
    candidates: Iterable[str] = (HOST,),
    *,
    identity: Identity | None = None,
    end: bool = False,
    in_section: bool = False,
    newline: str = "\r\n",
) -> str:
    """A trickle fragment (RFC 8840 section 9) for an offer's first section.

    With another ``identity`` than the offer's it asks for an ICE restart. ``in_section`` puts the credentials under the
    media line, as the RFC's figure does; most clients put them above.
    """
    who = identity or offer.identity
    credentials = [f"a=ice-ufrag:{who.ufrag}", f"a=ice-pwd:{who.password}"]
    first = offer.sections[0]
    section = [f"m={first.kind} 9 UDP/TLS/RTP/SAVPF {first.codecs[0].payload if first.codecs else 0}"]
    section += [f"a=mid:{first.mid}", *(credentials if in_section else [])]
    section += [f"a=candidate:{candidate}" for candidate in candidates]
    lines = [*([] if in_section else credentials), *section, *(["a=end-of-candidates"] if end else [])]
    return "".join(f"{line}{newline}" for line in lines)
