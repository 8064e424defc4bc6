"""Reading session descriptions, for judging them: sections, attributes, candidates. No repair, no opinion.

Own code on purpose: a tester that reads SDP with the server's library shares its mistakes. Source: RFC 8866 section 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")


class MalformedDescription(ValueError):
    """Text that is no session description."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ``a=candidate`` line (RFC 8839 section 5.1)."""

    foundation: str
    component: str
    transport: str
    priority: str
    address: str
    port: str
    kind: str

    @classmethod
    def parse(cls, value: str) -> "Candidate | None":
        """What stands after ``a=candidate:``; None where that is no candidate."""
        parts = value.split()
        if len(parts) < 8 or parts[6] != "typ":
            return None
        return cls(parts[0], parts[1], parts[2].lower(), parts[3], parts[4], parts[5], parts[7])


@dataclass(frozen=True, slots=True)
class Attributes:
    """The ``a=`` lines of one level, in order."""

    lines: tuple[tuple[str, str | None], ...]
    """Name and value; None for a property without one."""

    def has(self, name: str) -> bool:
        """Whether an attribute is there."""
        return any(key == name for key, _ in self.lines)

    def value(self, name: str) -> str | None:
        """The first value of an attribute."""
        return next((value for key, value in self.lines if key == name), None)

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for key, value in self.lines if key == name and value is not None]


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` section."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes
    session: Attributes
    """The session's attributes, which hold where the section is silent."""

    @property
    def mid(self) -> str | None:
        """Its name in the bundle."""
        return self.attributes.value("mid")

    @property
    def accepted(self) -> bool:
        """Whether it is used: not refused by port 0, unless that means "bundled with another" (RFC 9143 7.2)."""
        return self.port != 0 or self.attributes.has("bundle-only")

    @property
    def direction(self) -> str:
        """Its own, else the session's, else ``sendrecv`` (RFC 8866 section 6.7)."""
        for level in (self.attributes, self.session):
            for name, _ in level.lines:
                if name in DIRECTIONS:
                    return name
        return "sendrecv"

    def inherited(self, name: str) -> str | None:
        """An attribute's value from the section or else the session."""
        return self.attributes.value(name) if self.attributes.has(name) else self.session.value(name)

    def candidates(self) -> list[Candidate]:
        """The candidates that can be read."""
        read = (Candidate.parse(value) for value in self.attributes.values("candidate"))
        return [candidate for candidate in read if candidate is not None]

    def by_format(self, name: str) -> dict[str, str]:
        """Values of an attribute that begins with a payload type: ``rtpmap``, ``fmtp``."""
        pairs = (value.partition(" ") for value in self.attributes.values(name))
        return {payload: rest.strip() for payload, _, rest in pairs}


@dataclass(frozen=True, slots=True)
class Description:
    """A whole offer or answer."""

    session: Attributes
    sections: tuple[Media, ...]

    @property
    def accepted(self) -> list[Media]:
        """The sections in use."""
        return [section for section in self.sections if section.accepted]

    @property
    def media(self) -> list[Media]:
        """The accepted audio and video."""
        return [section for section in self.accepted if section.kind in ("audio", "video")]

    @property
    def bundle(self) -> list[str]:
        """The mids of the first BUNDLE group."""
        for value in self.session.values("group"):
            semantics, *mids = value.split()
            if semantics == "BUNDLE":
                return mids
        return []

    def transport(self, name: str) -> str | None:
        """An ICE or DTLS attribute of the first accepted section, or of the session."""
        return self.accepted[0].inherited(name) if self.accepted else self.session.value(name)

    def candidates(self) -> list[Candidate]:
        """The candidates of all sections that can be read."""
        return [candidate for section in self.sections for candidate in section.candidates()]


def parse(text: str) -> Description:
    """A session description. Errors: MalformedDescription."""
    if not text.startswith("v=0"):
        raise MalformedDescription("does not begin with v=0")
    return parse_fragment(text)


def parse_fragment(text: str) -> Description:
    """A trickle fragment: a description of attributes and sections alone (RFC 8840). Errors: MalformedDescription."""
    levels = list(_levels(text))
    session = _attributes(levels[0])
    return Description(session, tuple(_section(lines, session) for lines in levels[1:]))


def _levels(text: str) -> Iterator[list[str]]:
    """The session's lines, then each section's."""
    current: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").rstrip("\n").split("\n"), 1):
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
            raise MalformedDescription(f"line {number} is not <letter>=<value>: {line[:40]!r}")
        if line.startswith("m="):
            yield current
            current = []
        current.append(line)
    yield current


def _attributes(lines: list[str]) -> Attributes:
    pairs = (line[2:].partition(":") for line in lines if line.startswith("a="))
    return Attributes(tuple((name, value if colon else None) for name, colon, value in pairs))


def _section(lines: list[str], session: Attributes) -> Media:
    parts = lines[0][2:].split()
    if len(parts) < 4 or not parts[1].split("/")[0].isdigit():
        raise MalformedDescription(f"not a media line: {lines[0][:60]!r}")
    return Media(parts[0], int(parts[1].split("/")[0]), parts[2], tuple(parts[3:]), _attributes(lines[1:]), session)
