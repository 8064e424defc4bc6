"""An uploaded file's sound: any container and codec FFmpeg reads in, samples to play and to analyse out. No thread.

The bytes are hostile. FFmpeg sees nothing but the given file object, only formats that hold sound themselves (no
playlists, session descriptions or devices, which name other files), and limits on length and idle time.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, SpeechRefusal

ANALYSE_HZ: Final = 16_000
"""Sample rate of the samples that an engine hears."""
RATIO: Final = AUDIO_HZ // ANALYSE_HZ
RATES: Final = range(1_000, 768_001)
"""Units: Hz. Of what a header can say beyond that, FFmpeg makes filters of gigabytes, and holds the interpreter."""
FORMATS: Final = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,w64,wav,wv"  # names of demuxers
)
GUESSED: Final = ("aac", "ac3", "eac3")
"""Formats without a length: FFmpeg makes one up from the bitrate of the beginning."""
WAV_PROBED: Final = {"probesize": "8192"}
"""A WAV file tells all in its header, but FFmpeg looks for DTS in its samples: 4 ms, and 45 in a minute of stereo."""
GATHERED_S: Final = 0.1
"""Frames are converted so many together: by itself, one of 20 ms costs as much as five do."""
MAX_CORRUPT_PACKETS: Final = 100
"""A file with more broken packets than this is given up; a damaged download has a handful."""

# None, not PANIC: a peer's file must not write into our log, and PyAV's own callback takes the GIL in FFmpeg's threads,
# which hangs for ever where such a thread logs while a decoder is being closed (PyAV 18.1)
av.logging.set_level(None)

_LAYOUTS: Final = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class NotSpeech(Exception):
    """The file cannot be spoken: why, and in words for whom sent it."""

    def __init__(self, reason: SpeechRefusal, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds of one utterance."""

    max_s: float
    """Longest sound."""
    stall_s: float
    """Longest wall time without a new sample."""


@dataclass(frozen=True, slots=True)
class Samples:
    """A stretch of sound in both rates; analyse[j] and play[3 * j] are one moment.

    Shapes: play (n,) int16 at 48 kHz, analyse (ceil(n / 3),) float32 at 16 kHz in [-1, 1].
    """

    play: NDArray[np.int16]
    analyse: NDArray[np.float32]


class Sink(Protocol):
    """Where decoded sound goes."""

    def known(self, seconds: float | None) -> None:
        """The file is open and says that it is this long; called once, before the first ``put``."""
        ...

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        """Take samples; either may be empty, and 16 kHz ones may come a little later. May block."""
        ...


def decode(file: BinaryIO, limits: DecodeLimits, sink: Sink) -> None:
    """Decode the whole file into ``sink``, returning at its end.

    Errors: NotSpeech, also after samples were put: the file broke off or goes on for too long.
    """
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
    if _is_wav(file):
        options |= WAV_PROBED
    try:
        # timeout: FFmpeg's own clock on opening and on each read
        opened = av.open(
            file,
            mode="r",
            container_options=options,
            timeout=(limits.stall_s, limits.stall_s),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise NotSpeech(SpeechRefusal.NOT_AUDIO, "this is not an audio file in a format that is known here") from error
    with opened as container:
        _decode_container(container, file, limits, sink)


def _is_wav(file: BinaryIO) -> bool:
    here = file.tell()
    head = file.read(12)
    file.seek(here)
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def _decode_container(container: InputContainer, file: BinaryIO, limits: DecodeLimits, sink: Sink) -> None:
    if not container.streams.audio:
        raise NotSpeech(SpeechRefusal.NOT_AUDIO, f"this {container.format.name} file has no audio track")
    track = container.streams.audio[0]
    if track.codec_context is None:
        raise NotSpeech(
            SpeechRefusal.NOT_AUDIO, f"the sound of this {container.format.name} file is in an unknown codec"
        )
    seconds = _length_s(container, track, file)
    if seconds is not None and seconds > limits.max_s:
        raise NotSpeech(SpeechRefusal.TOO_LONG, _too_long(seconds, limits.max_s))
    sink.known(seconds)
    converter = _Converter()
    total = 0
    for frame in _frames(container, track, limits.stall_s):
        for play, analyse in converter.convert(frame):
            total += len(play)
            if total > limits.max_s * AUDIO_HZ:
                raise NotSpeech(SpeechRefusal.TOO_LONG, _too_long(None, limits.max_s))
            sink.put(play, analyse)
    for play, analyse in converter.flush():
        total += len(play)
        sink.put(play, analyse)
    if total == 0:
        raise NotSpeech(SpeechRefusal.EMPTY, "the audio track is empty")


def _length_s(container: InputContainer, track: av.AudioStream, file: BinaryIO) -> float | None:
    """How long the file says it is; None where it does not say."""
    if container.duration is None or container.duration <= 0 or container.format.name in GUESSED:
        return None
    seconds = container.duration / av.time_base
    codec = track.codec_context
    if codec.name.startswith("pcm_") and codec.bit_rate:
        # A WAV header may promise more than is there: a cut download, or a length nobody filled in.
        seconds = min(seconds, _size(file) * 8 / codec.bit_rate)
    return seconds


def _size(file: BinaryIO) -> int:
    here = file.tell()
    end = file.seek(0, 2)
    file.seek(here)
    return end


def _too_long(seconds: float | None, limit_s: float) -> str:
    length = "longer than" if seconds is None else f"{seconds:.0f} s long; the limit is"
    return f"the speech is {length} {limit_s:.0f} s"


def _frames(container: InputContainer, track: av.AudioStream, stall_s: float) -> Iterator[av.AudioFrame]:
    """The track's frames, skipping over what is damaged."""
    corrupt = 0
    heard = False
    last_frame_s = time.monotonic()
    packets = container.demux()  # all tracks: a film's pictures must pass the stall check too
    while True:
        if time.monotonic() - last_frame_s > stall_s:
            raise NotSpeech(SpeechRefusal.TOO_SLOW, f"decoding yielded no sound for {stall_s:.0f} s")
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode() if packet.stream_index == track.index else []
        except (av.error.FFmpegError, ValueError) as error:
            corrupt += 1
            if isinstance(error, av.error.EOFError) or corrupt > MAX_CORRUPT_PACKETS:
                break
            continue
        for frame in frames:
            if isinstance(frame, av.AudioFrame) and frame.samples > 0:
                heard = True
                last_frame_s = time.monotonic()
                yield frame
                last_frame_s = time.monotonic()  # the consumer may have held us up
    if corrupt > MAX_CORRUPT_PACKETS and heard:
        raise NotSpeech(SpeechRefusal.NOT_AUDIO, "the file is damaged from here on")
    if corrupt and not heard:
        raise NotSpeech(SpeechRefusal.NOT_AUDIO, "the audio track cannot be decoded")


class Analyser:
    """Samples that are played, to samples to analyse: sample j of these is sample 3 * j of those.

    They come out a millisecond late, when the filter has heard what it needs.
    """

    DELAY: Final = 48
    """Units: samples to play, by which what came out is behind what went in."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSE_HZ)

    def hear(self, play: NDArray[np.int16]) -> NDArray[np.float32]:
        """What can be analysed with these samples. Shapes: play (n,), about n / 3 come out."""
        frame = av.AudioFrame.from_ndarray(play[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = AUDIO_HZ
        return _joined(self._resampler.resample(frame))

    def flush(self) -> NDArray[np.float32]:
        """The rest: no more samples come."""
        return _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
    parts = [frame.to_ndarray()[0].astype(np.float32, copy=False) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


class _Converter:
    """Frames of any rate and layout to 48 kHz mono s16, and that to 16 kHz float."""

    def __init__(self) -> None:
        self._shape: tuple[int, str, str] | None = None
        self._gathered = av.AudioFifo()
        self._to_play = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        self._analyser = Analyser()

    def convert(self, frame: av.AudioFrame) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32]]]:
        if frame.sample_rate not in RATES:
            raise NotSpeech(SpeechRefusal.NOT_AUDIO, f"sound of {frame.sample_rate} samples a second cannot be played")
        shape = (frame.sample_rate, frame.layout.name, frame.format.name)
        if self._shape not in (None, shape):  # chained Ogg files and broadcast streams change in the middle
            yield from self._ended()
            self._gathered = av.AudioFifo()
            self._to_play = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        self._shape = shape
        frame.pts = None  # gaps in a file's clock are not speech: samples follow each other
        self._gathered.write(frame)
        if self._gathered.samples >= GATHERED_S * frame.sample_rate:
            yield from self._converted()

    def flush(self) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32]]]:
        if self._shape is None:
            return
        yield from self._ended()
        yield np.zeros(0, np.int16), self._analyser.flush()

    def _converted(self) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32]]]:
        """What was gathered."""
        frame = self._gathered.read()
        if frame is not None:
            frame.pts = None
            yield from self._analysed(self._played(frame))

    def _ended(self) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32]]]:
        """What was gathered, and what the filter holds: no more of this shape comes."""
        yield from self._converted()
        yield from self._analysed(self._played(None))

    def _played(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """Errors: NotSpeech for channels that a damaged file makes up, which nothing can be made of."""
        try:
            return self._to_play.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise NotSpeech(SpeechRefusal.NOT_AUDIO, "the sound is of a kind that cannot be played") from error

    def _analysed(self, frames: list[av.AudioFrame]) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32]]]:
        for frame in frames:
            play = frame.to_ndarray()[0].astype(np.int16, copy=False)
            yield play, self._analyser.hear(play)
