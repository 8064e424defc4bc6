"""Samples out of what reads text aloud: bare PCM, or WAV while it is still being made. Pure: bytes in, bytes out.

WAV as RIFF has it (Multimedia Programming Interface and Data Specifications 1.0, 1991, chapter 3). Who streams it does
not know its length when the header is written, and writes 0, the largest number there is, or one close to it: such a
length means "until the end".
"""

import struct
from dataclasses import dataclass
from typing import Final

RIFF: Final = b"RIFF"
UNKNOWN: Final = 0x7FFF_0000
"""No length from here on is meant: espeak-ng writes 0x7ffff000, others 0xffffffff."""
HEADER_BYTES: Final = 64 * 1024
"""Chunks before the sound are some dozens of bytes; cover pictures are not looked for in speech."""
PCM: Final = 1
EXTENSIBLE: Final = 0xFFFE
BITS: Final = 16
OTHERS: Final = {
    b"ID3": "MP3",
    **{bytes([0xFF, second]): "MP3" for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)},
    **{bytes([0xFF, second]): "AAC" for second in (0xF1, 0xF9)},
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"\x1aE\xdf\xa3": "WebM",
}
"""How files begin that nobody asked for. As samples these would be a crack at the very start, which speech is not."""
RATES: Final = range(8_000, 96_001)
"""Units: Hz. What can be spoken (``avatar.messages.OpenPcm``)."""


class MalformedSound(ValueError):
    """Not samples that can be spoken."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """Interleaved signed 16 bit samples, little endian."""

    sample_rate: int
    """Units: Hz."""
    channels: int

    @property
    def frame_bytes(self) -> int:
        """One sample of each channel."""
        return 2 * self.channels


class PcmReader:
    """Whole sample frames out of a body that comes in pieces."""

    def __init__(self, bare: PcmFormat | None) -> None:
        """``bare`` is what the body holds where it does not begin as WAV does; None: then it is malformed."""
        self.format: PcmFormat | None = None
        """Known from the first samples on."""
        self._bare = bare
        self._held = bytearray()
        self._left: int | None = None  # bytes of the WAV's sound that have not come; None: until the end

    def feed(self, data: bytes) -> bytes:
        """The samples that are whole by now. Errors: MalformedSound."""
        self._held += data
        if self.format is None:
            self.format = self._find_format()
        return b"" if self.format is None else self._take(self.format)

    def finish(self) -> None:
        """There is no more. Errors: MalformedSound where it ended before its first sample."""
        if self.format is None:
            raise MalformedSound("it ends before its first sample" if self._held else "it is empty")

    def _take(self, form: PcmFormat) -> bytes:
        size = len(self._held) if self._left is None else min(len(self._held), self._left)
        size -= size % form.frame_bytes
        samples = bytes(self._held[:size])
        del self._held[:size]
        if self._left is not None:
            self._left -= size
            if self._left < form.frame_bytes:
                self._held.clear()  # what follows the sound: tags
        return samples

    def _find_format(self) -> PcmFormat | None:
        """What is held up to the sound is taken away; None where more has to come first."""
        start = bytes(self._held[: len(RIFF)])
        if start == RIFF:
            return self._find_sound()
        if len(start) < len(RIFF):
            return None
        for begin, name in OTHERS.items():
            if start.startswith(begin):
                raise MalformedSound(f"it is {name}, and neither PCM nor WAV")
        if self._bare is None:
            raise MalformedSound("it is not WAV")
        return self._bare

    def _find_sound(self) -> PcmFormat | None:
        if len(self._held) < 12:
            return None
        if self._held[8:12] != b"WAVE":
            raise MalformedSound("it is RIFF, and not WAV")
        form: PcmFormat | None = None
        at = 12
        while at + 8 <= len(self._held):
            name, size = struct.unpack_from("<4sI", self._held, at)
            at += 8
            if name == b"data":
                if form is None:
                    raise MalformedSound("its WAV header does not say what the samples are")
                self._left = size if 0 < size < UNKNOWN else None
                del self._held[:at]
                return form
            if name == b"fmt " and at + size <= len(self._held):
                form = _read_format(bytes(self._held[at : at + size]))
            at += size + size % 2  # chunks begin at even places
        if max(at, len(self._held)) > HEADER_BYTES:
            raise MalformedSound("there is no sound in the first 64 KiB of its WAV")
        return None


def _read_format(chunk: bytes) -> PcmFormat:
    """Errors: MalformedSound where it is not 16 bit PCM of one or two channels at a rate that can be spoken."""
    if len(chunk) < 16:
        raise MalformedSound("its WAV header is cut short")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the subformat's first two bytes
    if (tag, bits) != (PCM, BITS):
        raise MalformedSound(f"its WAV holds {bits} bit samples of format {tag}; 16 bit PCM is needed")
    if channels not in (1, 2) or rate not in RATES:
        raise MalformedSound(f"its WAV has {channels} channels at {rate} Hz")
    return PcmFormat(rate, channels)
