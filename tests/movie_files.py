"""Chunk files taken apart and put together again, as players do."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import numpy as np
from numpy.typing import NDArray

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"}


def boxes(data: bytes, path: str = "") -> list[tuple[str, bytes]]:
    """All boxes with their content, containers first. Errors: AssertionError where sizes do not add up."""
    found: list[tuple[str, bytes]] = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at, f"{path}/{kind!r} has {size} bytes"
        name = f"{path}/{kind.decode()}"
        found.append((name, data[at + 8 : at + size]))
        if kind in CONTAINERS:
            found += boxes(data[at + 8 : at + size], name)
        at += size
    return found


@dataclass
class Track:
    """One track's samples in a file. Units: ticks of the track."""

    starts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    sync: list[bool] = field(default_factory=list)


def tracks(data: bytes) -> dict[int, Track]:
    """The samples of a file by track number."""
    found: dict[int, Track] = {}
    number = 0
    for name, content in boxes(data):
        if name.endswith("tfhd"):
            (number,) = struct.unpack_from(">I", content, 4)
            found.setdefault(number, Track())
        elif name.endswith("tfdt"):
            found[number].starts.append(struct.unpack_from(">Q", content, 4)[0])
        elif name.endswith("trun"):
            (count,) = struct.unpack_from(">I", content, 4)
            for index in range(count):
                duration, _, flags = struct.unpack_from(">3I", content, 12 + 12 * index)
                found[number].durations.append(duration)
                found[number].sync.append(not flags & 0x10000)
    return found


def split_header(data: bytes) -> tuple[bytes, bytes]:
    """A file's header, and its fragments."""
    at = data.index(b"moof") - 4
    return data[:at], data[at:]


def sound_of(files: Sequence[bytes]) -> NDArray[np.float32]:
    """The sound of all, decoded by one decoder as a player has it, cut to what the files declare."""
    decoder: av.AudioCodecContext | None = None
    parts: list[NDArray[np.float32]] = []
    for data in files:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.audio[0]
            if decoder is None:
                made = av.CodecContext.create("aac", "r")
                assert isinstance(made, av.AudioCodecContext)
                made.extradata = stream.codec_context.extradata
                decoder = made
            for packet in container.demux(stream):
                if packet.size:
                    samples = [frame.to_ndarray()[0] for frame in decoder.decode(packet)]
                    parts.append(np.concatenate(samples)[: packet.duration])
    return np.concatenate(parts)


def pictures_of(data: bytes) -> list[NDArray[np.uint8]]:
    """The luma of a file's pictures."""
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]
