"""How an agent goes about it, where clients differ, and the one error of it. Needs nothing but ``ice_agent``."""

from dataclasses import dataclass, field
from typing import Final

from conformance.agent.ice_agent import Habits

AEAD_128: Final = "SRTP_AEAD_AES_128_GCM"
AEAD_256: Final = "SRTP_AEAD_AES_256_GCM"
CM_80: Final = "SRTP_AES128_CM_SHA1_80"
"""SRTP protection profiles, in OpenSSL's words."""


class NotConnected(Exception):
    """ICE or DTLS did not come up; says which, and what was seen of it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """A kind of client."""

    habits: Habits = field(default_factory=Habits)
    profiles: tuple[str, ...] = ()
    """SRTP protection profiles it can, best first; none means the agent's own."""
    first_host_only: bool = False
    """Looks at the answer's first UDP host candidate alone, as FFmpeg does."""
    always_server: bool = False
    """Waits for the peer's ClientHello whatever the answer's setup says, as FFmpeg does that offered passive."""
    answers: bool = False
    """The server offers: it controls ICE, and we answer."""
