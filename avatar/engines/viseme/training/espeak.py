"""Speech with exact phoneme times from espeak-ng, through ctypes. A development tool: nothing at run time needs it.

The library and its voices come from the wheel ``espeakng-loader``, so that training can be repeated from PyPI alone.

The trap: for a voiceless stop (p t k) espeak-ng's event marks the burst; the silent closure before it, some 40 ms of
exact zeros, is booked on the sound before. Lips taught by the events alone close too late. ``_with_closures`` gives
those zeros to the stop.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.phonemes import Segment, segments_of_ipa

_AUDIO_OUTPUT_RETRIEVAL, _BUFFER_MS = 1, 200
_PHONEME_EVENTS, _PHONEME_IPA = 1, 2
_EVENT_LIST_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_POSITION_CHARACTER, _CHARS_UTF8 = 1, 1
_NAME_BYTES = 8
_SEED = 1
_VOICELESS_STOPS = frozenset("ptkcqʈ")
_LONGEST_CLOSURE_S, _SHORTEST_CLOSURE_S = 0.09, 0.008


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * _NAME_BYTES))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


@dataclass(frozen=True, slots=True)
class Manner:
    """How a sentence is spoken."""

    words_a_minute: int = 165
    pitch: int = 50
    """0 to 100."""
    liveliness: int = 50
    """Range of the pitch, 0 to 100."""


ORDINARY = Manner()


class Espeak:
    """The synthesiser. One a process: the library keeps its state in globals."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        options = _PHONEME_EVENTS | _PHONEME_IPA
        self.rate: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_RETRIEVAL, _BUFFER_MS, data, options)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng does not start: {self.rate}")
        self._samples: list[NDArray[np.int16]] = []
        self._phonemes: list[tuple[int, str]] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = signature(self._take)  # kept: the library holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, manner: Manner = ORDINARY) -> tuple[NDArray[np.float32], list[Segment]]:
        """``text`` spoken at ``rate`` Hz, and its segments from the first phoneme on.

        ``voice``: language and variant, ``en-us+f3``. Errors: ValueError for a voice that there is not.
        """
        self._samples, self._phonemes = [], []
        self._library.espeak_ng_SetRandSeed(_SEED)  # else its breath is of the time of day, and of what it said before
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"no voice {voice}")
        settings = ((_RATE, manner.words_a_minute), (_PITCH, manner.pitch), (_RANGE, manner.liveliness))
        for parameter, value in settings:
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.asarray(np.concatenate([np.zeros(0, np.int16), *self._samples]) / 32768, np.float32)
        return samples, _with_closures(samples, self.rate, sorted(self._phonemes, key=lambda event: event[0]))

    def _take(self, wave: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if wave and count > 0:
            self._samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        position = 0
        while events[position].type != _EVENT_LIST_END:
            event = events[position]
            if event.type == _EVENT_PHONEME:
                name = ctypes.string_at(ctypes.addressof(event.id), _NAME_BYTES).split(b"\0")[0]
                self._phonemes.append((event.sample, name.decode("utf-8", "replace")))
            position += 1
        return 0


def _with_closures(samples: NDArray[np.float32], rate: int, phonemes: Sequence[tuple[int, str]]) -> list[Segment]:
    """Events to segments, each voiceless stop beginning where its silence begins."""
    segments: list[Segment] = []
    for position, (sample, name) in enumerate(phonemes):
        start_s = sample / rate
        end_s = (phonemes[position + 1][0] if position + 1 < len(phonemes) else len(samples)) / rate
        if name.lstrip("ˈˌ")[:1] in _VOICELESS_STOPS and segments:
            start_s = _closure_start_s(samples, rate, sample)
            before = segments[-1]
            start_s = max(start_s, before.start_s + 0.01)
            segments[-1] = before._replace(end_s=min(before.end_s, start_s))
        if end_s > start_s:
            segments += segments_of_ipa(name, start_s, end_s)
    return segments


def _closure_start_s(samples: NDArray[np.float32], rate: int, burst: int) -> float:
    """Where the run of zeros that ends at ``burst`` begins; ``burst`` itself where there is none to speak of."""
    start = burst
    while start > 0 and abs(samples[start - 1]) < 1e-4 and burst - start < _LONGEST_CLOSURE_S * rate:
        start -= 1
    return (start if burst - start > _SHORTEST_CLOSURE_S * rate else burst) / rate
