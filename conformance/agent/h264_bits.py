"""H.264 as far as a judge of streams needs it: parameter sets and slice headers read, a small test picture written.

Source: ITU-T H.264 sections 7.3.2.1.1 (SPS), 7.3.2.2 (PPS), 7.3.3 (slice header), 7.3.5 (I_PCM), 9.1 (Exp-Golomb).
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SLICE: Final = 1
IDR: Final = 5
SPS: Final = 7
PPS: Final = 8
BASELINE: Final = 66
MAIN: Final = 77
EXTENDED: Final = 88
HIGH: Final = 100
DECODES: Final = {HIGH: (MAIN, HIGH), EXTENDED: (BASELINE, EXTENDED)}
"""Profiles beside constrained baseline that a profile's decoder must know; by default its own (H.264 annex A.2)."""
SIDE: Final = 64
"""Width and height of the test picture in pixels: large enough for an IDR picture to need several packets."""
BLOCKS: Final = (SIDE // 16) ** 2
BLOCK_BYTES: Final = 384
"""One macroblock in 4:2:0, uncompressed."""
I_PCM: Final = 25
"""mb_type of an uncompressed macroblock."""


class SliceType(enum.IntEnum):
    """What a slice predicts from (slice_type modulo 5)."""

    P = 0
    B = 1
    I = 2  # noqa: E741  # the standard's name
    SP = 3
    SI = 4


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The first bytes of an SPS: what ``profile-level-id`` promises."""

    profile: int
    constraints: int
    level: int

    @property
    def level_id(self) -> str:
        """As SDP writes it: ``42e01f``."""
        return f"{self.profile:02x}{self.constraints:02x}{self.level:02x}"

    @property
    def constrained(self) -> bool:
        """Whether it is constrained baseline, which comes under three names (RFC 6184 table 5)."""
        flag = {BASELINE: 0x40, MAIN: 0x80, EXTENDED: 0xC0}.get(self.profile, 0)
        return bool(flag) and self.constraints & flag == flag

    def allows(self, sent: "ParameterSet") -> bool:
        """Whether a receiver that was promised this can decode what was sent."""
        if sent.level > self.level:
            return False
        if sent.constrained:
            return self.profile in (BASELINE, MAIN, EXTENDED, HIGH)
        return not self.constrained and sent.profile in DECODES.get(self.profile, (self.profile,))


def nal_type(nal: bytes) -> int:
    """nal_unit_type; 0 for an empty unit."""
    return nal[0] & 0x1F if nal else 0


def read_parameter_set(nal: bytes) -> ParameterSet | None:
    """The profile and level of an SPS; None for another unit or a cut one."""
    return ParameterSet(nal[1], nal[2], nal[3]) if nal_type(nal) == SPS and len(nal) >= 4 else None


def read_slice_type(nal: bytes) -> SliceType | None:
    """The type of a slice; None for another unit, or one whose header cannot be read."""
    if nal_type(nal) not in (SLICE, IDR):
        return None
    bits = _bits(_unescape(nal[1:24]))
    _first_block, kind = _read_ue(bits), _read_ue(bits)
    return None if kind is None or kind > 9 else SliceType(kind % 5)


def _unescape(payload: bytes) -> bytes:
    return payload.replace(b"\x00\x00\x03", b"\x00\x00")


def _bits(payload: bytes) -> Iterator[int]:
    return (byte >> shift & 1 for byte in payload for shift in range(7, -1, -1))


def _read_ue(bits: Iterator[int]) -> int | None:
    """An Exp-Golomb number; None where the bits run out."""
    zeros = 0
    for bit in bits:
        if bit:
            break
        zeros += 1
    else:
        return None
    rest = [bit for _, bit in zip(range(zeros), bits, strict=False)]
    if len(rest) < zeros:
        return None
    return (1 << zeros) - 1 + sum(bit << shift for shift, bit in enumerate(reversed(rest)))


class _Writer:
    """Bits of one NAL unit, in order."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def u(self, width: int, value: int) -> None:
        self._text.append(f"{value:0{width}b}")

    def ue(self, *values: int) -> None:
        for value in values:
            code = f"{value + 1:b}"
            self._text.append("0" * (len(code) - 1) + code)

    def align(self) -> None:
        self._text.append("0" * (-sum(map(len, self._text)) % 8))

    def nal(self, head: int, *, trailing: bool = True) -> bytes:
        """The unit: header byte, payload with emulation prevention."""
        if trailing:
            self._text.append("1")
            self.align()
        text = "".join(self._text)
        return bytes((head,)) + _escape(int(text, 2).to_bytes(len(text) // 8, "big"))


def _escape(payload: bytes) -> bytes:
    """Emulation prevention (section 7.4.1.1)."""
    out = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def write_parameter_sets(level_id: str) -> tuple[bytes, bytes]:
    """SPS and PPS of the test picture, under a ``profile-level-id`` of the baseline family."""
    sps = _Writer()
    for byte in bytes.fromhex(level_id):
        sps.u(8, byte)
    sps.ue(0, 4, 2, 1)  # id; frame_num has 8 bits; picture order is decoding order; one reference
    sps.u(1, 0)
    sps.ue(SIDE // 16 - 1, SIDE // 16 - 1)
    sps.u(4, 0b1100)  # frames only, direct_8x8, no cropping, no VUI
    pps = _Writer()
    pps.ue(0, 0)
    pps.u(2, 0)  # CAVLC
    pps.ue(0, 0, 0)  # one slice group, one reference each way
    pps.u(3, 0)
    pps.ue(0, 0, 0)  # QP, QS and chroma offset are 0
    pps.u(3, 0b100)  # slices say how they deblock
    return sps.nal(0x67), pps.nal(0x68)


def write_idr(number: int, shade: int) -> bytes:
    """An IDR slice: one grey picture. ``number`` tells neighbouring ones apart."""
    out = _Writer()
    out.ue(0, SliceType.I + 5, 0)
    out.u(8, 0)
    out.ue(number % 2)
    out.u(2, 0)  # no_output_of_prior_pics, long_term_reference
    out.ue(0, 1)  # slice_qp_delta 0, no deblocking
    for _ in range(BLOCKS):
        out.ue(I_PCM)
        out.align()
        out.u(8 * BLOCK_BYTES, int.from_bytes(bytes((max(1, shade % 256),)) * BLOCK_BYTES, "big"))
    return out.nal(0x65)


def write_repeat(frame: int, kind: SliceType = SliceType.P) -> bytes:
    """A slice that repeats the picture before; ``frame`` counts from 0 at the IDR picture.

    Of another kind than P only the beginning is true: for showing a judge what no receiver could play.
    """
    out = _Writer()
    out.ue(0, kind + 5, 0)
    out.u(8, frame % 256)
    out.u(3, 0)  # references as the PPS says, in their order, none marked
    out.ue(0, 1)
    out.ue(BLOCKS)
    return out.nal(0x41)
