"""Fragmented MP4 of one H.264 and one AAC track, written box by box. Pure.

PyAV's muxer decides durations, edit lists and where fragments begin by itself; here each sample's time is the caller's.

Sources: ISO/IEC 14496-12 (the boxes), 14496-14 (esds), 14496-15 section 5 (avc1, avcC).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from avatar.annexb import DELIMITER, PPS, SEI, SPS, nal_type, split_nals
from avatar.formats import AUDIO_HZ, VIDEO_HZ

VIDEO_TRACK: Final = 1
AUDIO_TRACK: Final = 2
MOVIE_HZ: Final = 1000
"""Time scale of durations that hold for the whole file."""
MATRIX: Final = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
SYNC: Final = 0x02000000
"""Sample flags: depends on no other sample (14496-12 section 8.8.3.1)."""
NO_SYNC: Final = 0x01010000
"""Depends on others, and is not a sync sample."""
_BESIDE: Final = (SPS, PPS, SEI, DELIMITER)
"""What stands in the header instead of in the samples, or nowhere."""


@dataclass(frozen=True, slots=True)
class Movie:
    """What a file says of itself before its first sample."""

    width: int
    height: int
    sps: bytes
    pps: bytes
    sound_config: bytes
    """AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2)."""
    duration_s: float = 0.0
    """0: not told, as in chunks that a player puts one after the other."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture or AAC frame as the file holds it. Units: ``duration`` in ticks of the track, 90 or 48 kHz."""

    data: bytes
    duration: int
    keyframe: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """Samples of a track that follow one another. Units: ``start`` in ticks of the track."""

    track: int
    start: int
    samples: Sequence[Sample]


def parameter_sets(unit: bytes) -> tuple[bytes, bytes]:
    """SPS and PPS of a keyframe. Errors: ValueError where it has none."""
    nals = {nal_type(nal): nal for nal in split_nals(unit)}
    if SPS not in nals or PPS not in nals:
        raise ValueError("a keyframe without parameter sets")
    return nals[SPS], nals[PPS]


def picture_data(unit: bytes) -> bytes:
    """An access unit as a sample: each NAL unit after its length (14496-15 section 5.3.4.2)."""
    kept = [nal for nal in split_nals(unit) if nal_type(nal) not in _BESIDE]
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in kept)


def header(movie: Movie) -> bytes:
    """``ftyp`` and ``moov``: all that comes before the first fragment."""
    duration = round(movie.duration_s * MOVIE_HZ)
    extends = _full("trex", 0, 0, struct.pack(">5I", VIDEO_TRACK, 1, 0, 0, 0))
    extends += _full("trex", 0, 0, struct.pack(">5I", AUDIO_TRACK, 1, 0, 0, 0))
    if duration:
        extends = _full("mehd", 0, 0, struct.pack(">I", duration)) + extends
    timing = struct.pack(">4I", 0, 0, MOVIE_HZ, 0)
    movie_header = timing + struct.pack(">IH10x", 0x10000, 0x0100) + MATRIX + bytes(24) + struct.pack(">I", 3)
    moov = _full("mvhd", 0, 0, movie_header) + _video_track(movie) + _audio_track(movie) + _box("mvex", extends)
    return _box("ftyp", b"iso5" + struct.pack(">I", 512) + b"iso5iso6mp41avc1") + _box("moov", moov)


def fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """``moof`` and ``mdat`` of samples of both tracks; ``sequence`` counts from 1."""
    size = len(_movie_fragment(sequence, runs, 0))
    return _movie_fragment(sequence, runs, size + 8) + _box(
        "mdat", b"".join(sample.data for run in runs for sample in run.samples)
    )


def _movie_fragment(sequence: int, runs: Sequence[Run], data_at: int) -> bytes:
    parts = _full("mfhd", 0, 0, struct.pack(">I", sequence))
    for run in runs:
        parts += _track_fragment(run, data_at)
        data_at += sum(len(sample.data) for sample in run.samples)
    return _box("moof", parts)


def _track_fragment(run: Run, data_at: int) -> bytes:
    """Samples with duration, size and flags each; their data counts from the start of ``moof``."""
    header = _full("tfhd", 0, 0x020000, struct.pack(">I", run.track))
    begins = _full("tfdt", 1, 0, struct.pack(">Q", run.start))
    rows = b"".join(
        struct.pack(">3I", sample.duration, len(sample.data), SYNC if sample.keyframe else NO_SYNC)
        for sample in run.samples
    )
    counted = struct.pack(">Ii", len(run.samples), data_at)
    return _box("traf", header + begins + _full("trun", 0, 0x000701, counted + rows))


@dataclass(frozen=True, slots=True)
class _Track:
    """What differs between the two tracks."""

    number: int
    rate: int
    handler: bytes
    media_header: bytes
    entry: bytes
    """The one sample entry."""
    volume: int = 0
    size: tuple[int, int] = (0, 0)


def _video_track(movie: Movie) -> bytes:
    config = b"\x01" + movie.sps[1:4] + b"\xff\xe1" + _sized(movie.sps) + b"\x01" + _sized(movie.pps)
    entry = bytes(6) + struct.pack(">H16x2H2I4xH", 1, movie.width, movie.height, 0x480000, 0x480000, 1)
    entry += bytes(32) + struct.pack(">Hh", 24, -1) + _box("avcC", config)
    media_header = _full("vmhd", 0, 1, bytes(8))
    size = movie.width, movie.height
    return _track(_Track(VIDEO_TRACK, VIDEO_HZ, b"vide", media_header, _box("avc1", entry), size=size))


def _audio_track(movie: Movie) -> bytes:
    entry = bytes(6) + struct.pack(">H8x2H4xI", 1, 1, 16, AUDIO_HZ << 16)
    entry += _full("esds", 0, 0, _elementary_stream(movie.sound_config))
    media_header = _full("smhd", 0, 0, bytes(4))
    return _track(_Track(AUDIO_TRACK, AUDIO_HZ, b"soun", media_header, _box("mp4a", entry), volume=0x0100))


def _elementary_stream(sound_config: bytes) -> bytes:
    """ES, decoder configuration and synchronisation descriptors (ISO/IEC 14496-1 section 7.2.6)."""
    config = _descriptor(4, b"\x40\x15" + bytes(11) + _descriptor(5, sound_config))
    return _descriptor(3, bytes(3) + config + _descriptor(6, b"\x02"))


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _track(track: _Track) -> bytes:
    """A track without samples of its own: all are in fragments."""
    width, height = track.size
    placed = struct.pack(">5I12xH2x", 0, 0, track.number, 0, 0, track.volume)
    placed += MATRIX + struct.pack(">2I", width << 16, height << 16)
    tables = _full("stsd", 0, 0, struct.pack(">I", 1) + track.entry)
    tables += _full("stts", 0, 0, bytes(4)) + _full("stsc", 0, 0, bytes(4))
    tables += _full("stsz", 0, 0, bytes(8)) + _full("stco", 0, 0, bytes(4))
    where = _box("dinf", _full("dref", 0, 0, struct.pack(">I", 1) + _full("url ", 0, 1, b"")))
    media = _full("mdhd", 0, 0, struct.pack(">4IHH", 0, 0, track.rate, 0, 0x55C4, 0))  # no language
    media += _full("hdlr", 0, 0, bytes(4) + track.handler + bytes(12) + track.handler + b"\0")
    media += _box("minf", track.media_header + where + _box("stbl", tables))
    return _box("trak", _full("tkhd", 0, 3, placed) + _box("mdia", media))


def _sized(nal: bytes) -> bytes:
    return len(nal).to_bytes(2, "big") + nal


def _box(kind: str, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind.encode()) + content


def _full(kind: str, version: int, flags: int, content: bytes) -> bytes:
    """A box with version and flags."""
    return _box(kind, bytes([version]) + flags.to_bytes(3, "big") + content)
