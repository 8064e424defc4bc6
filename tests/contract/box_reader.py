"""Reads the boxes of a fragmented MP4 file as far as a chunk's promises go (ISO/IEC 14496-12, -14 and -15)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DEFAULT_BASE_IS_MOOF: Final = 0x020000
PER_SAMPLE_DURATION: Final = 0x000100


@dataclass(frozen=True, slots=True)
class Codec:
    """What a sample entry says."""

    name: str
    profile: int = 0
    """H.264: profile_idc. AAC: the audio object type."""
    constraints: int = 0
    """H.264: the constraint flags."""
    level: int = 0
    size: tuple[int, int] = (0, 0)
    rate_hz: int = 0
    channels: int = 0

    def for_players(self) -> str:
        """As in a MediaSource's type."""
        if self.name == "avc1":
            return f"avc1.{self.profile:02X}{self.constraints:02X}{self.level:02X}"
        return f"{self.name}.40.{self.profile}"


@dataclass(frozen=True, slots=True)
class Run:
    """The samples of one track in one fragment."""

    track: int
    base: int
    """Decode time of the first, in the track's units."""
    durations: list[int]
    default_base_is_moof: bool


@dataclass(slots=True)
class Movie:
    """A file."""

    order: list[str]
    """Kinds of its outermost boxes."""
    extends: set[int] = field(default_factory=set)
    """Tracks that fragments may extend."""
    kinds: dict[int, str] = field(default_factory=dict)
    """vide or soun, by track."""
    timescales: dict[int, int] = field(default_factory=dict)
    codecs: dict[int, Codec] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def track(self, kind: str) -> int:
        """The one track of that kind."""
        (found,) = [number for number, each in self.kinds.items() if each == kind]
        return found

    def codec(self, kind: str) -> Codec:
        """Of the one track of that kind."""
        return self.codecs[self.track(kind)]

    def start(self, kind: str) -> int:
        """Where a track's time begins."""
        return next(run.base for run in self.runs if run.track == self.track(kind))

    def durations_s(self, kind: str) -> list[float]:
        """How long each sample is shown or heard."""
        track = self.track(kind)
        ticks = [duration for run in self.runs if run.track == track for duration in run.durations]
        return [each / self.timescales[track] for each in ticks]


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind, content) of the boxes that follow each other. Errors: AssertionError where one is broken."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        assert head <= size <= len(data) - at, f"a box {kind!r} of {size} bytes at {at} in {len(data)}"
        yield kind.decode("latin-1"), data[at + head : at + size]
        at += size


def inside(data: bytes, *path: str) -> bytes:
    """The content of the first box at a path. Errors: KeyError."""
    for kind in path:
        data = dict(reversed(list(boxes(data))))[kind]
    return data


def read_movie(data: bytes) -> Movie:
    """Errors: AssertionError, KeyError or struct.error where it is none."""
    outermost = list(boxes(data))
    movie = Movie([kind for kind, _ in outermost])
    moov = dict(outermost)["moov"]
    defaults: dict[int, int] = {}
    for kind, content in boxes(inside(moov, "mvex")):
        if kind == "trex":
            track, _, duration = struct.unpack_from(">III", content, 4)
            movie.extends.add(track)
            defaults[track] = duration
    for kind, content in boxes(moov):
        if kind == "trak":
            _read_track(movie, content)
    for kind, content in outermost:
        if kind == "moof":
            movie.runs += [_read_run(part, defaults) for name, part in boxes(content) if name == "traf"]
    return movie


def _read_track(movie: Movie, trak: bytes) -> None:
    header, media = inside(trak, "tkhd"), inside(trak, "mdia", "mdhd")
    (number,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    (movie.timescales[number],) = struct.unpack_from(">I", media, 20 if media[0] else 12)
    movie.kinds[number] = inside(trak, "mdia", "hdlr")[8:12].decode("latin-1")
    entry, content = next(boxes(inside(trak, "mdia", "minf", "stbl", "stsd")[8:]))
    movie.codecs[number] = _read_video(entry, content) if movie.kinds[number] == "vide" else _read_sound(entry, content)


def _read_video(name: str, entry: bytes) -> Codec:
    width, height = struct.unpack_from(">HH", entry, 24)
    profile, constraints, level = inside(entry[78:], "avcC")[1:4]
    return Codec(name, profile, constraints, level, size=(width, height))


def _read_sound(name: str, entry: bytes) -> Codec:
    channels, rate = struct.unpack_from(">H6xI", entry, 16)
    config = _descriptor(inside(entry[28:], "esds")[4:])
    return Codec(name, config[0] >> 3, rate_hz=rate >> 16, channels=channels)


def _descriptor(data: bytes) -> bytes:
    """The decoder's own configuration, three descriptors deep (ISO/IEC 14496-1)."""
    skipped = {3: 3, 4: 13}  # what stands before the next descriptor within one of this tag
    tag = 0
    while tag != 5:
        tag, at = data[0], 1
        while data[at] & 0x80:
            at += 1
        size = data[at] & 0x7F
        data = data[at + 1 :][skipped.get(tag, 0) :]
    return data[:size]


def _read_run(traf: bytes, defaults: dict[int, int]) -> Run:
    header, time = inside(traf, "tfhd"), inside(traf, "tfdt")
    flags, track = int.from_bytes(header[1:4]), int.from_bytes(header[4:8])
    at = 8 + 8 * bool(flags & 1) + 4 * bool(flags & 2)
    default = int.from_bytes(header[at : at + 4]) if flags & 8 else defaults[track]
    base = int.from_bytes(time[4:12] if time[0] else time[4:8])
    truns = (content for kind, content in boxes(traf) if kind == "trun")
    durations = [each for content in truns for each in _durations(content, default)]
    return Run(track, base, durations, bool(flags & DEFAULT_BASE_IS_MOOF))


def _durations(run: bytes, default: int) -> list[int]:
    flags, count = int.from_bytes(run[1:4]), int.from_bytes(run[4:8])
    if not flags & PER_SAMPLE_DURATION:
        return [default] * count
    at = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
    step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    return [int.from_bytes(run[place : place + 4]) for place in range(at, at + step * count, step)]
