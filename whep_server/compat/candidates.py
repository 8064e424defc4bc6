"""Whose candidate it is: the original's clients send candidates to a session that several viewers may watch. Pure.

A browser's candidate names the ufrag of its offer, and may be here before the offer is answered, or even before it.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from whep_server.signaling.sdp import usable_candidate

MAX_EARLY: Final = 50
"""Candidates kept for an offer that is still to come."""
MAX_VIEWERS: Final = 64
"""Viewers remembered; the oldest have ended, or have long since told all their candidates."""
_UFRAG: Final = re.compile(r"\bufrag ([!-~]{1,256})")
_OFFERED: Final = re.compile(r"^a=ice-ufrag:([!-~]{1,256})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """A candidate that ICE can use."""

    value: str
    """What stands after ``a=candidate:``, normalised: nothing of what was sent that means nothing."""
    ufrag: str | None
    """Whose; None where it does not say."""


def read_candidate(text: str, ufrag: str | None = None) -> Told | None:
    """A browser's ``RTCIceCandidate.candidate``; None where ICE could not use it, which is no error (RFC 8838)."""
    text = text.strip().removeprefix("a=")
    value = usable_candidate(text.removeprefix("candidate:"))
    said = _UFRAG.search(text)
    return None if value is None else Told(value, said[1] if said else ufrag)


def offered_ufrag(offer: str) -> str | None:
    """The ufrag of an offer: that of all its sections, as they share one transport."""
    found = _OFFERED.search(offer)
    return found[1] if found else None


def as_fragment(values: list[str]) -> str:
    """Candidates as a trickle ICE fragment."""
    return "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + "".join(f"a=candidate:{value}\r\n" for value in values)


@dataclass(slots=True)
class Trickle:
    """The viewers of one session, and candidates that came before their offer was answered."""

    viewers: dict[str, str | None] = field(default_factory=dict)
    """Each one's ufrag by its session's id, oldest first."""
    _early: deque[Told] = field(default_factory=lambda: deque(maxlen=MAX_EARLY))

    def joined(self, session_id: str, ufrag: str | None) -> list[str]:
        """A viewer's offer was answered; the candidates that were here before."""
        first = not self.viewers
        own = [told for told in self._early if told.ufrag == ufrag or (told.ufrag is None and first)]
        self._early = deque((told for told in self._early if told not in own), maxlen=MAX_EARLY)
        self.viewers[session_id] = ufrag
        while len(self.viewers) > MAX_VIEWERS:
            del self.viewers[next(iter(self.viewers))]
        return [told.value for told in own]

    def viewer_of(self, told: Told) -> str | None:
        """The session that a candidate is for: by its ufrag, else the newest. None where it is kept for later."""
        for session_id, ufrag in reversed(self.viewers.items()):
            if told.ufrag in (None, ufrag):
                return session_id
        self._early.append(told)
        return None

    def left(self, session_id: str) -> None:
        """A viewer has ended."""
        self.viewers.pop(session_id, None)
