"""The messages on the wire between server and worker: length-prefixed msgpack, tagged by type. No socket."""

import struct
from typing import Final

import msgspec

from avatar.messages import FromWorker, ToWorker

MAX_MESSAGE_BYTES: Final = 128 * 1024 * 1024
"""The largest is a chunk of a recording: 30 s at 20 Mbit/s are 75 MB."""
_PREFIX: Final = struct.Struct(">I")
_encoder: Final = msgspec.msgpack.Encoder()


def frame_message(message: ToWorker | FromWorker) -> bytes:
    """The bytes of a message on the wire: 4 bytes of length, big-endian, then msgpack."""
    body = _encoder.encode(message)
    return _PREFIX.pack(len(body)) + body


class MessageReader:
    """Cuts a byte stream into message bodies. No socket of its own: the caller feeds it what it read.

    Errors: ValueError for a length above ``MAX_MESSAGE_BYTES``: the peer is not speaking this protocol.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete after ``data``."""
        self._buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= _PREFIX.size:
            (length,) = _PREFIX.unpack_from(self._buffer, start)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError(f"message of {length} bytes")
            end = start + _PREFIX.size + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[start + _PREFIX.size : end]))
            start = end
        del self._buffer[:start]
        return bodies


decode_to_worker: Final = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker: Final = msgspec.msgpack.Decoder(FromWorker).decode
