"""What a datagram on a port that many sessions share is, by what is in it alone. Pure.

RFC 7983 section 7 tells STUN, DTLS and SRTP apart by the first byte. Of STUN, a request names in its USERNAME whom it
is for: our ufrag stands before the colon (RFC 8445 section 7.2.2). Who sent it is proven by its integrity alone, which
is not looked at here.
"""

from enum import Enum
from struct import Struct
from typing import Final

HEADER_BYTES: Final = 20
"""Of a STUN message (RFC 8489 section 5)."""
COOKIE: Final = bytes.fromhex("2112a442")
USERNAME: Final = 0x0006
_BINDING_REQUEST: Final = b"\x00\x01"
_ATTRIBUTE: Final = Struct("!HH")


class Kind(Enum):
    """What a datagram is."""

    REQUEST = "STUN binding request"
    STUN = "any other STUN message"
    MEDIA = "DTLS, SRTP or SRTCP"
    NOTHING = "nothing that a session of ours is sent"


def kind_of(datagram: bytes) -> Kind:
    """What it says that it is; whether it is whole and in order is for others to see."""
    if not datagram:
        return Kind.NOTHING
    first = datagram[0]
    if 20 <= first < 64 or 128 <= first < 192:
        return Kind.MEDIA
    if first > 3 or len(datagram) < HEADER_BYTES or datagram[4:8] != COOKIE:
        return Kind.NOTHING
    return Kind.REQUEST if datagram[:2] == _BINDING_REQUEST else Kind.STUN


def transaction_of(message: bytes) -> bytes:
    """A STUN message's transaction id."""
    return message[8:HEADER_BYTES]


def ufrag_of(request: bytes) -> bytes | None:
    """Whom a STUN request is for: what stands before the colon in its USERNAME. None where there is no such thing."""
    at, end = HEADER_BYTES, len(request)
    while at + _ATTRIBUTE.size <= end:
        kind, length = _ATTRIBUTE.unpack_from(request, at)
        at += _ATTRIBUTE.size
        if kind == USERNAME:
            ufrag, colon, _ = request[at : at + length].partition(b":")
            return ufrag if colon else None
        at += length + -length % 4
    return None
