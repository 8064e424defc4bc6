"""espeak-ng, where it is installed: one process a text, which reads it from its standard input and writes WAV.

It is the stand-in for who has no speech endpoint: plain, but here, in a hundred languages and at once.
"""

import asyncio
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final, TypeVar

from whep_server.errors import NotSpeech, SynthesisFailed, Unavailable
from whep_server.settings import Settings
from whep_server.web.synthesis import Samples, Sound, Words

Result = TypeVar("Result")

NAME: Final = "espeak-ng"
DEFAULT_VOICE: Final = "en-us"
VOICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")
"""``de``, ``en-gb``, ``fr+f3``; never a path, never an option."""
WORDS_A_MINUTE: Final = 175
SLOWEST: Final = 80
FASTEST: Final = 450
"""Units: words a minute. Its own bounds, and its own middle."""
PIECE_BYTES: Final = 16 * 1024
COMPLAINT_BYTES: Final = 4 * 1024


def find_espeak() -> str | None:
    """Where it is installed."""
    return shutil.which(NAME)


class EspeakNg:
    """Reads text on this machine. A model and instructions mean nothing to it."""

    def __init__(self, program: str, settings: Settings) -> None:
        """``program`` is its path."""
        self._program = program
        self._voice = settings.tts_voice or DEFAULT_VOICE
        self._silence_s = settings.tts_timeout_s

    async def read(self, words: Words) -> Sound:
        """What it says, from its start. Errors: NotSpeech (no such voice), SynthesisFailed, Unavailable."""
        options = voice_options(words.voice or self._voice, words.speed)
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, "--stdin", "--stdout", "-b", "1", *options, stdin=PIPE, stdout=PIPE, stderr=PIPE
            )
        except OSError as error:
            raise Unavailable(f"{NAME} cannot be started: {error.strerror}") from error
        assert process.stdin is not None and process.stdout is not None
        samples = Samples(NAME, None)
        try:
            process.stdin.write(plain(words.text).encode())  # what it does not read at once is held here
            process.stdin.close()
            while piece := await self._soon(process.stdout.read(PIECE_BYTES)):
                for pcm in samples.of(piece):
                    yield pcm
            await self._check_end(process)
            samples.finish()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _check_end(self, process: Process) -> None:
        """Errors: NotSpeech, SynthesisFailed, Unavailable."""
        assert process.stderr is not None
        complaint = await self._soon(process.stderr.read(COMPLAINT_BYTES))
        status = await self._soon(process.wait())
        if b"voice does not exist" in complaint:
            raise NotSpeech(f"{NAME} has no such voice")
        if status != 0:
            raise SynthesisFailed(f"{NAME} ended with status {status}")

    async def _soon(self, awaited: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._silence_s):
                return await awaited
        except TimeoutError as error:
            raise Unavailable(f"{NAME} was silent for {self._silence_s:g} s") from error


def voice_options(voice: str, speed: float | None) -> list[str]:
    """Errors: NotSpeech where that is no voice's name."""
    if not VOICE.fullmatch(voice):
        raise NotSpeech(f"{NAME} has no such voice")
    words_a_minute = round(WORDS_A_MINUTE * (1.0 if speed is None else speed))
    return ["-v", voice, "-s", str(min(FASTEST, max(SLOWEST, words_a_minute)))]


def plain(text: str) -> str:
    """Two brackets would begin phonemes, which are read even where no markup is."""
    return re.sub(r"\[(?=\[)", "[ ", text)
