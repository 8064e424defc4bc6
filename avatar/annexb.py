"""H.264 byte streams and what files and RTP packets want instead: NAL units one by one (H.264 annex B). Pure."""

from typing import Final

SLICE_IDR: Final = 5
SEI: Final = 6
SPS: Final = 7
PPS: Final = 8
DELIMITER: Final = 9


def nal_type(nal: bytes) -> int:
    """nal_unit_type (H.264 section 7.4.1)."""
    return nal[0] & 0x1F


def split_nals(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes and trailing zeros."""
    starts = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        starts.append(at + 3)
        at = data.find(b"\x00\x00\x01", at + 3)
    ends = [*(start - 3 for start in starts[1:]), len(data)][: len(starts)]
    pieces = (data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True))
    return [nal for nal in pieces if nal]
