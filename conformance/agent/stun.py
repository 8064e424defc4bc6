"""STUN messages as ICE uses them: written, read and verified. Pure.

Whether a message makes sense in a session is decided in ``ice``. Sources: RFC 8489 (format, MESSAGE-INTEGRITY,
FINGERPRINT), RFC 8445 section 7.1 (PRIORITY, USE-CANDIDATE, ICE-CONTROLLED, ICE-CONTROLLING).
"""

import enum
import hashlib
import hmac
import ipaddress
import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import Final

MAGIC: Final = 0x2112A442
HEADER_BYTES: Final = 20
FINGERPRINT_XOR: Final = 0x5354554E
INTEGRITY_BYTES: Final = 20
BINDING: Final = 1
Address = tuple[str, int]
"""A numeric IP address and a port."""


class MalformedStun(Exception):
    """The datagram is no STUN message."""


class Kind(enum.IntEnum):
    """A message's class: the two bits of RFC 8489 section 5."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Attribute(enum.IntEnum):
    """Attribute types that are read or written here; others are kept as numbers."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


@dataclass(frozen=True, slots=True)
class Message:
    """One STUN message. Attributes are in their order, MESSAGE-INTEGRITY and FINGERPRINT not among them."""

    kind: Kind
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...] = ()
    method: int = BINDING
    signed: bytes | None = None
    """As read: the bytes that MESSAGE-INTEGRITY covers, with the digest appended. None where there is none."""

    def value(self, name: Attribute) -> bytes | None:
        """The first value of an attribute."""
        return next((value for number, value in self.attributes if number == name), None)

    def number(self, name: Attribute) -> int | None:
        """An attribute's value as a big-endian number."""
        value = self.value(name)
        return None if value is None else int.from_bytes(value, "big")

    @property
    def error_code(self) -> int | None:
        """The code of an error response, as in 487."""
        value = self.value(Attribute.ERROR_CODE)
        return None if value is None or len(value) < 4 else (value[2] & 7) * 100 + value[3]

    @property
    def mapped_address(self) -> Address | None:
        """XOR-MAPPED-ADDRESS, or None where it is missing or no address."""
        value = self.value(Attribute.XOR_MAPPED_ADDRESS)
        if value is None or len(value) not in (8, 20):
            return None
        mask = struct.pack(">I", MAGIC) + self.transaction
        packed = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
        port = struct.unpack(">H", value[2:4])[0] ^ (MAGIC >> 16)
        return str(ipaddress.ip_address(packed)), port

    def is_from(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and was made with this password."""
        if self.signed is None:
            return False
        covered, digest = self.signed[:-INTEGRITY_BYTES], self.signed[-INTEGRITY_BYTES:]
        return hmac.compare_digest(digest, _digest(covered, password))

    def to_bytes(self, password: str | None) -> bytes:
        """The datagram, signed where a password is given, with a fingerprint."""
        body = b"".join(_attribute(number, value) for number, value in self.attributes)
        if password is not None:
            head = self._header(len(body) + 4 + INTEGRITY_BYTES)
            body += _attribute(Attribute.MESSAGE_INTEGRITY, _digest(head + body, password))
        covered = self._header(len(body) + 8) + body
        checksum = struct.pack(">I", zlib.crc32(covered) ^ FINGERPRINT_XOR)
        return covered + _attribute(Attribute.FINGERPRINT, checksum)

    def _header(self, length: int) -> bytes:
        method = self.method
        bits = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2
        bits |= (self.kind & 1) << 4 | (self.kind & 2) << 7
        return struct.pack(">HHI", bits, length, MAGIC) + self.transaction


def new_transaction() -> bytes:
    """A transaction id that nobody can guess (RFC 8489 section 5)."""
    return secrets.token_bytes(12)


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS for an address."""
    ip = ipaddress.ip_address(address[0])
    mask = struct.pack(">I", MAGIC) + transaction
    packed = bytes(a ^ b for a, b in zip(ip.packed, mask, strict=False))
    return struct.pack(">BBH", 0, 1 if ip.version == 4 else 2, address[1] ^ (MAGIC >> 16)) + packed


def error_value(code: int, reason: str) -> bytes:
    """The value of ERROR-CODE."""
    return bytes((0, 0, code // 100, code % 100)) + reason.encode()


def looks_like_stun(datagram: bytes) -> bool:
    """Whether a datagram of a multiplexed socket is STUN (RFC 7983 section 7)."""
    return len(datagram) >= HEADER_BYTES and datagram[0] < 4


def parse_stun(datagram: bytes) -> Message:
    """Read a message; its FINGERPRINT is checked where there is one, its MESSAGE-INTEGRITY is kept for ``is_from``.

    Errors: MalformedStun.
    """
    if not looks_like_stun(datagram) or struct.unpack(">I", datagram[4:8])[0] != MAGIC:
        raise MalformedStun("no STUN header")
    bits, length = struct.unpack(">HH", datagram[:4])
    if length % 4 or length != len(datagram) - HEADER_BYTES:
        raise MalformedStun(f"the header says {length} bytes, there are {len(datagram) - HEADER_BYTES}")
    attributes: list[tuple[int, bytes]] = []
    signed: bytes | None = None
    at = HEADER_BYTES
    while at < len(datagram):
        number, value, after = _read_attribute(datagram, at)
        if number == Attribute.FINGERPRINT:
            _check_fingerprint(datagram, at, value, after)
        elif number == Attribute.MESSAGE_INTEGRITY and signed is None:
            signed = _signed(datagram, at, value)
        elif signed is None:  # what follows the digest is not covered by it and must be ignored
            attributes.append((number, value))
        at = after
    kind = Kind(bits >> 4 & 1 | bits >> 7 & 2)
    method = bits & 0xF | bits >> 1 & 0x70 | bits >> 2 & 0xF80
    return Message(kind, datagram[8:20], tuple(attributes), method, signed)


def _read_attribute(datagram: bytes, at: int) -> tuple[int, bytes, int]:
    """Number and value of the attribute at an offset, and where the next one begins."""
    number, length = struct.unpack(">HH", datagram[at : at + 4])
    after = at + 4 + length + -length % 4
    if after > len(datagram):
        raise MalformedStun(f"attribute 0x{number:04x} ends behind the message")
    return number, datagram[at + 4 : at + 4 + length], after


def _check_fingerprint(datagram: bytes, at: int, value: bytes, after: int) -> None:
    expected = struct.pack(">I", zlib.crc32(datagram[:at]) ^ FINGERPRINT_XOR)
    if value != expected or after != len(datagram):
        raise MalformedStun("wrong FINGERPRINT")


def _signed(datagram: bytes, at: int, digest: bytes) -> bytes:
    """What a digest at an offset covers: the message up to it, with the length it had then; the digest itself."""
    if len(digest) != INTEGRITY_BYTES:
        raise MalformedStun(f"MESSAGE-INTEGRITY of {len(digest)} bytes")
    length = struct.pack(">H", at + 4 + INTEGRITY_BYTES - HEADER_BYTES)
    return datagram[:2] + length + datagram[4:at] + digest


def _digest(covered: bytes, password: str) -> bytes:
    return hmac.new(password.encode(), covered, hashlib.sha1).digest()


def _attribute(number: int, value: bytes) -> bytes:
    return struct.pack(">HH", number, len(value)) + value + bytes(-len(value) % 4)
