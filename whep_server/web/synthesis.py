"""What reads text aloud, as the rest sees it: words in, samples out while they are made."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from whep_server.errors import SynthesisFailed
from whep_server.settings import PREFIX
from whep_server.web.pcm_reader import MalformedSound, PcmFormat, PcmReader

HOW_TO: Final = f"set {PREFIX}TTS_URL to an OpenAI-compatible speech endpoint, or install espeak-ng"
"""What is to be done where nothing reads text aloud."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is to be read, and how; None is as the operator has it."""

    text: str
    voice: str | None = None
    speed: float | None = None
    """1 is the voice's own."""
    model: str | None = None
    instructions: str | None = None
    """How it should sound, in words; for models that understand them."""


@dataclass(frozen=True, slots=True)
class Pcm:
    """Some samples, and what they are."""

    format: PcmFormat
    data: bytes


Sound = AsyncGenerator[Pcm, None]
"""Samples as they are made, at least one piece of them. Closing it stops who makes them.

Errors while iterating: NotSpeech where the request is at fault, SynthesisFailed, Unavailable.
"""


class Synthesizer(Protocol):
    """One that reads aloud."""

    def read(self, words: Words) -> Sound:
        """Begins with the iteration."""
        ...


class Samples:
    """What a synthesizer's output holds."""

    def __init__(self, name: str, bare: PcmFormat | None) -> None:
        """``name`` is the synthesizer's, for its errors; ``bare`` as in ``PcmReader``."""
        self._name = name
        self._reader = PcmReader(bare)

    def of(self, piece: bytes) -> Iterator[Pcm]:
        """Those that are whole by now: one piece or none. Errors: SynthesisFailed."""
        try:
            data = self._reader.feed(piece)
        except MalformedSound as error:
            raise self._failed(error) from error
        if data and self._reader.format is not None:
            yield Pcm(self._reader.format, data)

    def finish(self) -> None:
        """There is no more. Errors: SynthesisFailed where there was nothing."""
        try:
            self._reader.finish()
        except MalformedSound as error:
            raise self._failed(error) from error

    def _failed(self, error: MalformedSound) -> SynthesisFailed:
        return SynthesisFailed(f"what {self._name} answers cannot be spoken: {error}")
