"""Trickle ICE fragments (RFC 8840): what a peer sends by PATCH, and our answer to an ICE restart. Pure.

Read as leniently as players write them: LF or CRLF; ufrag and pwd at session level or under a section; media lines of
any protocol; candidates of any component or kind, of which only the usable ones are kept; unknown lines ignored.
[I-SE-14]
"""

from dataclasses import dataclass, field
from typing import Final

from whep_server.errors import MalformedFragment
from whep_server.signaling.sdp import MAX_CANDIDATES, ice_credential, usable_candidate

KNOWN: Final = (
    "a=candidate:",
    "a=end-of-candidates",
    "a=group:",
    "a=ice-lite",
    "a=ice-options:",
    "a=ice-pacing:",
    "a=ice-pwd:",
    "a=ice-ufrag:",
    "a=mid:",
    "m=",
)
"""Beginnings of lines that mark a body as a fragment."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user fragment and password of one end in one ICE session."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class LocalIce:
    """Our end of one ICE session."""

    credentials: Credentials
    candidates: tuple[str, ...]
    """Values of ``a=candidate``, all there are."""

    def to_fragment(self, kind: str, mid: str, bundle: tuple[str, ...]) -> str:
        """The body that answers an ICE restart: new credentials, all candidates.  [I-SE-15] [I-SE-18]

        ``kind`` and ``mid`` are those of the section the transport belongs to; ``ice-options`` is as in the answer.
        """
        lines = [
            "a=ice-options:trickle",
            *([f"a=group:BUNDLE {' '.join(bundle)}"] if bundle else []),
            f"m={kind} 9 UDP/TLS/RTP/SAVPF 0",
            f"a=mid:{mid}",
            f"a=ice-ufrag:{self.credentials.ufrag}",
            f"a=ice-pwd:{self.credentials.password}",
            *(f"a=candidate:{value}" for value in self.candidates),
            "a=end-of-candidates",
        ]
        return "".join(f"{line}\r\n" for line in lines)


@dataclass(frozen=True, slots=True)
class TrickledCandidate:
    """One candidate that ICE can use."""

    mid: str | None
    """Its section's mid; None where the fragment gives none."""
    index: int
    """Its section's place in the fragment, 0 for the first."""
    value: str
    """What stands after ``a=candidate:``."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment says."""

    ufrag: str | None = None
    password: str | None = None
    candidates: tuple[TrickledCandidate, ...] = ()
    complete: bool = False
    """Whether it says end-of-candidates."""

    def restart_from(self, known: Credentials) -> Credentials | None:
        """The credentials of the ICE session that this fragment begins; None where it belongs to that of ``known``.

        Told by changed credentials, not by If-Match, which players send as they like. RFC 8840 would have a fragment
        with other credentials discarded; here it restarts ICE (RFC 9725 section 4.3.3).

        Errors: MalformedFragment where only one of the two changes, or one is too short (RFC 8839 section 5.4).
        """
        if self.ufrag in (None, known.ufrag) and self.password in (None, known.password):
            return None
        if self.ufrag in (None, known.ufrag) or self.password in (None, known.password):
            raise MalformedFragment("an ICE restart changes both a=ice-ufrag and a=ice-pwd")
        ufrag, password = ice_credential(self.ufrag, "ice-ufrag"), ice_credential(self.password, "ice-pwd")
        if ufrag is None or password is None:
            raise MalformedFragment("an ICE restart needs a=ice-ufrag of 4 and a=ice-pwd of 22 characters or more")
        return Credentials(ufrag, password)

    def to_bytes(self) -> bytes:
        """The fragment in its regular form: credentials first, one section for each place that has candidates."""
        lines = []
        if self.ufrag is not None:
            lines.append(f"a=ice-ufrag:{self.ufrag}")
        if self.password is not None:
            lines.append(f"a=ice-pwd:{self.password}")
        if self.complete or not (lines or self.candidates):
            lines.append("a=end-of-candidates" if self.complete else "a=ice-options:trickle")
        at = -1
        for candidate in self.candidates:
            while at < candidate.index:
                at += 1
                lines.append("m=audio 9 UDP/TLS/RTP/SAVPF 0")
                if at == candidate.index and candidate.mid is not None:
                    lines.append(f"a=mid:{candidate.mid}")
            lines.append(f"a=candidate:{candidate.value}")
        return "".join(f"{line}\r\n" for line in lines).encode()


@dataclass(slots=True)
class _Reader:
    """State of a parse: the section that lines fall in, and what was found."""

    ufrag: str | None = None
    password: str | None = None
    complete: bool = False
    section: int = -1
    known: bool = False
    mids: dict[int, str] = field(default_factory=dict)
    found: list[tuple[int, str]] = field(default_factory=list)
    """Section and value of each candidate."""

    def line(self, line: str) -> None:
        self.known = self.known or line.startswith(KNOWN)
        if line.startswith("m="):
            self.section += 1
            return
        name, _, value = line[2:].partition(":") if line.startswith("a=") else ("", "", "")
        value = value.strip()
        if name == "mid" and value:
            self.mids.setdefault(max(self.section, 0), value)
        elif name == "ice-ufrag" and self.ufrag is None:
            self.ufrag = value or None
        elif name == "ice-pwd" and self.password is None:
            self.password = value or None
        elif name == "end-of-candidates":
            self.complete = True
        elif name == "candidate":
            self._candidate(value)

    def _candidate(self, value: str) -> None:
        usable = usable_candidate(value)
        if usable is not None and len(self.found) < MAX_CANDIDATES:
            self.found.append((max(self.section, 0), usable))

    def candidates(self) -> tuple[TrickledCandidate, ...]:
        return tuple(TrickledCandidate(self.mids.get(section), section, value) for section, value in self.found)


def parse_fragment(body: bytes) -> Fragment:
    """Read a fragment. One made only of unusable candidates is a fragment all the same.

    Errors: MalformedFragment where it is not text or no line of it belongs in a fragment (RFC 8840 section 9).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedFragment("a fragment is UTF-8 text") from error
    reader = _Reader()
    for line in text.replace("\r", "\n").split("\n"):
        reader.line(line.strip())
    if not reader.known:
        raise MalformedFragment("no line of a trickle ICE fragment")
    return Fragment(reader.ufrag, reader.password, reader.candidates(), reader.complete)
