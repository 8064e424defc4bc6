"""Session descriptions as text and as what an offer says: sections, transport, codecs. Pure; no negotiation here.

Offers are read leniently, as real players write them (bare LF, transport attributes at session level, bundle-only
sections without any), and strictly where a session could never come up: ICE credentials, a usable fingerprint, a DTLS
role. Sources: RFC 8866 (grammar), RFC 8839 (ICE), RFC 8842 (DTLS), RFC 9143 (BUNDLE), RFC 9429 section 5.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from whep_server.errors import MalformedSdp

MAX_LINES: Final = 4000
"""Browsers send 60 to 300 lines; conferencing code up to 1500."""
MAX_SECTIONS: Final = 64
MAX_CANDIDATES: Final = 50
"""An offer's, or a fragment's; further ones are ignored. Browsers gather 2 to 12."""
DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
DIGEST_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Fingerprint algorithms that aiortc can check; a peer whose only one is another could never connect."""
SETUPS: Final = ("active", "passive", "actpass")
SHORTEST: Final = {"ice-ufrag": 4, "ice-pwd": 22}
"""Characters at least (RFC 8839 section 5.4)."""

_MEDIA_LINE: Final = re.compile(
    r"(audio|video|application|text|message|image) ([0-9]{1,5})(?:/[0-9]+)? ([A-Za-z/]+) (.+)"
)
_MID: Final = re.compile(r"[!-~]{1,64}")  # comes back in the answer, and in the header of every packet
_ICE_CHARS: Final = re.compile(r"[A-Za-z0-9+/=_-]+")  # RFC 8839 has no = _ -, some clients send them


@dataclass(frozen=True, slots=True)
class Section:
    """One ``m=`` line with the lines under it, as text."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[str, ...]

    def values(self, name: str) -> Iterator[str]:
        """The value of each attribute ``name``, in order; an attribute without value gives an empty string."""
        return attribute_values(self.lines, name)

    def value(self, name: str) -> str | None:
        """The first value of attribute ``name``."""
        return next(self.values(name), None)

    @property
    def mid(self) -> str | None:
        """RFC 5888 identification."""
        return self.value("mid")

    def __str__(self) -> str:
        head = f"m={self.kind} {self.port} {self.protocol} {' '.join(self.formats)}"
        return "".join(f"{line}\r\n" for line in (head, *self.lines))


@dataclass(frozen=True, slots=True)
class Description:
    """A session description as text: the session's lines, then the sections."""

    lines: tuple[str, ...]
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return "".join(f"{line}\r\n" for line in self.lines) + "".join(map(str, self.sections))


@dataclass(frozen=True, slots=True)
class Transport:
    """What ICE and DTLS need to know of the peer."""

    ufrag: str
    password: str
    setup: str
    """active, passive or actpass (RFC 8842)."""
    fingerprints: tuple[str, ...]
    candidates: tuple[str, ...]
    """Values of ``a=candidate``; only those ICE can use: UDP, literal addresses, component 1."""
    lite: bool

    def lines(self) -> list[str]:
        """As media-level attributes. No end-of-candidates: peer-reflexive candidates may still come (RFC 8838)."""
        return [
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            f"a=setup:{self.setup}",
            *(f"a=fingerprint:{value}" for value in self.fingerprints),
            *(f"a=candidate:{value}" for value in self.candidates),
        ]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer with everything that its sections inherit filled in."""

    description: Description
    bundle: tuple[str, ...]
    """mids of the BUNDLE group; empty where there is none."""

    def bundled(self, section: Section) -> bool:
        """Whether a section shares the tagged section's transport."""
        return section.mid is not None and section.mid in self.bundle

    def rejected(self, section: Section) -> bool:
        """Port 0 rejects a section, unless it is bundle-only (RFC 9143 section 6)."""
        return section.port == 0 and section.value("bundle-only") is None

    def direction(self, section: Section) -> str:
        """The section's direction, the session's, or the default (RFC 8866 section 6.7)."""
        for lines in (section.lines, self.description.lines):
            for line in lines:
                if line.startswith("a=") and line[2:].strip() in DIRECTIONS:
                    return line[2:].strip()
        return "sendrecv"

    def transport(self, section: Section) -> Transport:
        """How to reach the peer for a section: its own lines, the tagged section's, the session's.

        Errors: MalformedSdp without ICE credentials, a usable fingerprint or a DTLS role that allows a connection.
        """
        levels = [section.lines, *self._tagged_lines(section), self.description.lines]
        setup = (_nearest(levels, "setup") or ["actpass"])[0]
        if setup not in SETUPS:
            raise MalformedSdp(f"a=setup:{setup[:20]} allows no connection")
        candidates = usable_candidates(_nearest(levels, "candidate"))
        return Transport(
            ufrag=_credential(levels, "ice-ufrag"),
            password=_credential(levels, "ice-pwd"),
            setup=setup,
            fingerprints=_fingerprints(levels),
            candidates=tuple(candidates),
            lite="a=ice-lite" in self.description.lines,
        )

    def _tagged_lines(self, section: Section) -> list[tuple[str, ...]]:
        if not self.bundled(section):
            return []
        return [tagged.lines for tagged in self.description.sections if tagged.mid == self.bundle[0]]


def attribute_values(lines: tuple[str, ...], name: str) -> Iterator[str]:
    """The value of each attribute ``name`` in ``lines``."""
    prefix = f"a={name}:"
    for line in lines:
        if line.startswith(prefix):
            yield line[len(prefix) :].strip()
        elif line.rstrip() == prefix[:-1]:
            yield ""


def parse_description(text: str) -> Description:
    """Cut a session description into sections.

    Errors: MalformedSdp for anything that is not a list of ``x=value`` lines beginning with ``v=0``.
    """
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    if len(lines) > MAX_LINES:
        raise MalformedSdp(f"more than {MAX_LINES} lines")
    if not lines or lines[0].strip() != "v=0":
        raise MalformedSdp("SDP begins with v=0")
    session: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    for line in lines:
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha() or not line.isprintable():
            raise MalformedSdp(f"not an SDP line: {line.partition(':')[0][:40]!r}")  # behind the colon: passwords
        if line.startswith("m="):
            sections.append((line, []))
        else:
            (sections[-1][1] if sections else session).append(line)
    if len(sections) > MAX_SECTIONS:
        raise MalformedSdp(f"more than {MAX_SECTIONS} media sections")
    return Description(tuple(session), tuple(_section(head, tuple(body)) for head, body in sections))


def _section(head: str, lines: tuple[str, ...]) -> Section:
    match = _MEDIA_LINE.fullmatch(head[2:].strip())
    if match is None or int(match[2]) > 65535:
        raise MalformedSdp(f"not a media line: {head[:60]!r}")
    return Section(match[1], int(match[2]), match[3], tuple(match[4].split()), lines)


def parse_offer(text: str) -> Offer:
    """Read an offer.

    Errors: MalformedSdp where it is not SDP, has no media section, or names a mid twice.
    """
    description = parse_description(text)
    if not description.sections:
        raise MalformedSdp("an offer needs a media section")
    mids = [section.mid for section in description.sections if section.mid is not None]
    if len(set(mids)) < len(mids) or any(not _MID.fullmatch(mid) for mid in mids):
        raise MalformedSdp("mids must be tokens of up to 64 characters, each used once")
    bundle: tuple[str, ...] = ()
    for group in attribute_values(description.lines, "group"):
        words = group.split()
        if words and words[0] == "BUNDLE":
            bundle = tuple(mid for mid in words[1:] if mid in mids)
            break
    return Offer(description, bundle)


def usable_candidates(values: list[str]) -> list[str]:
    """The candidates ICE can use, each once: UDP with a literal address; component 0 is written 1.

    Left out: TCP (no stack of ours speaks it), host names and mDNS (a second of waiting each, and a browser without
    camera permission never answers us), addresses where no peer is, link-local ones among them, and what does not
    parse. No more than ``MAX_CANDIDATES``: each is sent checks, whoever is there.
    """
    found = (usable_candidate(value) for value in values)
    return list(dict.fromkeys(value for value in found if value is not None))[:MAX_CANDIDATES]


_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_MAPPED: Final = ipaddress.ip_network("::ffff:0:0/96")
_CANDIDATE: Final = re.compile(
    r"([A-Za-z0-9+/_-]{1,64}) ([0-9]{1,3}) (udp) ([0-9]{1,10}) ([0-9a-fA-F.:]{2,45}) ([0-9]{1,5}) "
    r"typ (host|srflx|prflx|relay)((?: [!-~]+)*)",
    re.IGNORECASE,
)


def usable_candidate(value: str) -> str | None:
    """One candidate, normalised, or None where ICE could not use it (RFC 8839 section 5.1)."""
    match = _CANDIDATE.fullmatch(" ".join(value.split()))
    if match is None:
        return None
    foundation, component, _, priority, address, port, kind, _ = match.groups()
    literal = _literal(address)
    if literal is None or int(component) > 1 or not 0 < int(port) <= 65535 or int(priority) >= 1 << 32:
        return None
    kind = "srflx" if kind.lower() == "prflx" else kind.lower()  # aioice knows no signalled prflx
    return f"{foundation} 1 udp {priority} {literal} {port} typ {kind}"


def _literal(address: str) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return None if _is_nobody(parsed) else str(parsed)


def _is_nobody(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether no one peer can be there: it is this network's, many hosts' or a cloud's own (169.254.169.254).

    IPv4 written as IPv6 would pass such questions by, and is no candidate's address (RFC 8445 section 5.1.1.1).
    """
    if isinstance(address, ipaddress.IPv6Address):
        return address.is_unspecified or address.is_link_local or address.is_multicast or address in _MAPPED
    return address.is_link_local or address.is_multicast or address.is_reserved or address in _THIS_NETWORK


def _nearest(levels: list[tuple[str, ...]], name: str) -> list[str]:
    """All values of an attribute at the first level that has it."""
    return next((found for lines in levels if (found := list(attribute_values(lines, name)))), [])


def ice_credential(value: str | None, name: str) -> str | None:
    """``value`` where it can be an ``ice-ufrag`` or ``ice-pwd`` (RFC 8839 section 5.4), else None."""
    if value is None or not SHORTEST[name] <= len(value) <= 256 or not _ICE_CHARS.fullmatch(value):
        return None
    return value


def _credential(levels: list[tuple[str, ...]], name: str) -> str:
    value = ice_credential(next(iter(_nearest(levels, name)), None), name)
    if value is None:
        raise MalformedSdp(f"an offer needs a={name} of {SHORTEST[name]} to 256 characters")
    return value


def _fingerprints(levels: list[tuple[str, ...]]) -> tuple[str, ...]:
    usable = []
    for value in _nearest(levels, "fingerprint"):
        algorithm, _, digest = value.partition(" ")
        size = DIGEST_BYTES.get(algorithm.lower(), 0)
        if size and re.fullmatch(rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{size - 1}}}", digest.strip()):
            usable.append(f"{algorithm.lower()} {digest.strip().upper()}")
    if not usable:
        raise MalformedSdp("an offer needs a=fingerprint with sha-256")
    return tuple(usable)
