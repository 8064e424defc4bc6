"""What the fuzzers call with datagrams and with sound: as ``harnesses.py``, for all that is no signaling.

``datagrams``: pieces that arrive on the port that sessions share, between 0x1e bytes; a piece that begins with "!" is
signed with a session's password first, for a peer knows it. ``rtp``: what a peer sends inside SRTP. ``pcm``: messages
of a connection that streams speech, and streamed WAV. ``audio``: uploads, whole files.
"""

import asyncio
import io
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
from aioice import stun
from aiortc.rtp import RtcpPacket, RtpPacket
from numpy.typing import NDArray

from avatar.decode import DecodeLimits, NotSpeech, decode
from whep_server.errors import BadRequest, UnsupportedType
from whep_server.rtc.generation import Generation
from whep_server.rtc.ports import SharedPort
from whep_server.rtc.reception import Reception
from whep_server.rtc.sender import Outbound
from whep_server.rtc.shared_port import MOST_ADDRESSES, End
from whep_server.rtc.stun_guard import GuardedProtocol
from whep_server.web.pcm_messages import BadMessage, Intake, Message, State, error_name, parse_message, step
from whep_server.web.pcm_reader import MalformedSound, PcmFormat, PcmReader
from whep_server.web.pcm_upload import SampleFrames, read_parameters

PIECE: Final = b"\x1e"
SIGNED: Final = b"!"
UFRAG: Final = "ufragour"
PASSWORD: Final = "p" * 22
SSRC: Final = 0x01020304
LIMITS: Final = DecodeLimits(max_s=2.0, stall_s=2.0)


@contextmanager
def datagrams() -> Iterator[Callable[[bytes], None]]:
    """A shared port with one session on it, and what would be that session's on a port of its own."""
    number = _free_port()
    with asyncio.Runner() as runner:
        port = runner.run(_taken(number))
        generation = runner.run(_session(port))
        (end,) = generation._protocols
        shared = cast(End, end)._shared

        own = GuardedProtocol(generation)
        own.connection_made(end.transport)
        own.local_candidate = end.local_candidate

        async def take(data: bytes) -> None:
            for index, piece in enumerate(data.split(PIECE)[:16]):
                datagram = _signed(piece[1:]) if piece.startswith(SIGNED) else piece
                shared._take(datagram, ("127.0.0.1", 1024 + index))
                own.datagram_received(datagram, ("127.0.0.1", 1024 + index))
            await asyncio.sleep(0)
            assert len(shared._by_address) <= MOST_ADDRESSES
            assert set(shared._by_ufrag) == {UFRAG.encode()}

        try:
            yield lambda data: runner.run(take(data))
        finally:
            runner.run(generation.close())
            runner.run(_closed(port))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _taken(number: int) -> SharedPort:
    port = SharedPort(number, strays=Counter())
    port.take(["127.0.0.1"])
    return port


async def _closed(port: SharedPort) -> None:
    port.close()


async def _session(port: SharedPort) -> Generation:
    generation = Generation(lambda _: None, ice_controlling=False, local_username=UFRAG, local_password=PASSWORD)
    generation.ports = port
    generation.remote_username, generation.remote_password = "peer", PASSWORD
    await generation.get_component_candidates(1, ["127.0.0.1"])
    return generation


def _signed(attributes: bytes) -> bytes:
    """A check with those attributes, whose integrity is right; as it is where nobody could have made it."""
    name = f"{UFRAG}:peer".encode()
    head = b"\x00\x06" + len(name).to_bytes(2, "big") + name + bytes(-len(name) % 4)
    body = head + attributes[: len(attributes) // 4 * 4]
    raw = b"\x00\x01" + len(body).to_bytes(2, "big") + stun.COOKIE.to_bytes(4, "big") + b"t" * 12 + body
    try:
        message = stun.parse_message(raw)
        message.add_message_integrity(PASSWORD.encode())
        return bytes(message)
    except (ValueError, struct.error):
        return raw


@dataclass
class _Track:
    """As much of a track as RTCP moves."""

    keyframes: int = 0
    dropped: int = 0
    frame_size: tuple[int, int] | None = None

    def opened(self, outlet: object) -> None:
        """Never."""

    def request_keyframe(self) -> None:
        self.keyframes += 1


def _outbound() -> Outbound:
    connection = SimpleNamespace(note_alive=lambda: None)
    transport = SimpleNamespace(transport=SimpleNamespace(_connection=connection))
    sender = SimpleNamespace(_ssrc=SSRC, _rtx_ssrc=SSRC + 1, kind="video", transport=transport)
    made = Outbound(cast(Any, sender), cast(Any, _Track()), cast(Any, SimpleNamespace(send=lambda _: 0)))
    out = SimpleNamespace(pack_again=lambda number, now_s, trip_s: b"x" if number % 2 else None)
    made._opened = cast(Any, SimpleNamespace(out=out))
    return made


async def _rtp(data: bytes) -> None:
    """A compound RTCP packet to a viewer's track, or RTP packets of a publisher, as the first byte says."""
    heard: list[tuple[int, int]] = []
    outbound, reception = _outbound(), Reception(48_000)
    for piece in data.split(PIECE)[:16]:
        try:
            for packet in RtcpPacket.parse(piece) if len(piece) > 1 and 192 <= piece[1] < 224 else ():
                await outbound._handle_rtcp_packet(packet)
            if len(piece) > 1 and not 192 <= piece[1] < 224:
                rtp = RtpPacket.parse(piece)
                heard.append(reception.add(rtp.sequence_number, rtp.timestamp, float(len(heard))))
        except ValueError:
            continue
    stats = outbound.stats("VP8")
    assert 0 <= (outbound.feedback.remb_bps or 0) < 1 << 82 and stats.nack_count <= 16 * 400
    assert -(1 << 23) <= reception.packets_lost < 1 << 23 and 0 <= reception.fraction_lost < 256
    assert 0 <= reception.jitter < 1 << 32 and 0 <= reception.max_seq < 1 << 32


@contextmanager
def rtp() -> Iterator[Callable[[bytes], None]]:
    """One event loop for all."""
    with asyncio.Runner() as runner:
        yield lambda data: runner.run(_rtp(data))


def pcm(data: bytes) -> None:
    """Frames of a connection, text before a 0x1e that is followed by "t"; then the same bytes as a streamed body."""
    state, intake = State.IDLE, Intake(PcmFormat(24_000, 2))
    for frame in data.split(PIECE)[:32]:
        try:
            message: Message = parse_message(frame[1:].decode("utf-8", "replace") if frame[:1] == b"t" else frame)
            state = step(state, message)
            if hasattr(message, "audio"):
                intake.append(message.audio)
        except BadMessage as error:
            assert error.detail and error_name(error).replace("-", "").isalpha() and not error.fatal
    held = intake.received
    while (item := intake.take()) is not None:
        held -= len(item) if isinstance(item, bytes) else 0
    assert held == 0 and not intake.full
    _stream(data)


def _stream(data: bytes) -> None:
    """A body in two pieces, as WAV or bare, and as what its first line says that it is."""
    reader, taken = PcmReader(PcmFormat(16_000, 1) if data[:1] != b"R" else None), 0
    try:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            taken += len(reader.feed(part))
        reader.finish()
        assert reader.format is not None and taken % reader.format.frame_bytes == 0 and taken <= len(data)
    except MalformedSound as error:
        assert str(error)
    kind, _, body = data.partition(b"\n")
    try:
        given, big_endian = read_parameters(kind.decode("latin-1"), {"sample_rate": "16000"})
    except (BadRequest, UnsupportedType):
        return
    frames = SampleFrames(PcmFormat(given.sample_rate, given.channels), big_endian=big_endian)
    assert sum(map(len, frames.feed(body))) == frames.size and frames.size + len(frames.left) == len(body)


@dataclass
class _Sink:
    """Counts what is decoded."""

    played: int = 0
    sounds: list[float | None] = field(default_factory=list)

    def known(self, seconds: float | None) -> None:
        self.sounds.append(seconds)

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        self.played += len(play)
        assert np.isfinite(analyse).all()


def audio(data: bytes) -> None:
    """An upload is speech of a bounded length, or refused in words."""
    sink = _Sink()
    try:
        decode(io.BytesIO(data), LIMITS, sink)
    except NotSpeech as error:
        assert error.detail and error.reason
    assert len(sink.sounds) <= 1 and sink.played <= (LIMITS.max_s + 1) * 48_000
