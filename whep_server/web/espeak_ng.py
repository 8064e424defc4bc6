"""espeak-ng, where it is installed: one process a text, which reads it from its standard input and writes WAV.

It is the stand-in for who has no speech endpoint: plain, but here, in a hundred languages and at once. Processes are
started by a thread and by ``subprocess``, which needs no copy of our memory's tables (vfork): uvloop's own way holds up
the event loop until the new program runs, 60 ms on a busy machine.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

from whep_server.environment import lent_environment
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
        running = Running([self._program, "--stdin", "--stdout", "-b", "1", *options])
        samples = Samples(NAME, None)
        try:
            output = await running.begin(plain(words.text))
            while piece := await self._soon(output.read(PIECE_BYTES)):
                for pcm in samples.of(piece):
                    yield pcm
            check_end(*await self._soon(running.finish()))
            samples.finish()
        finally:
            await running.stop()

    async def _soon(self, awaited: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._silence_s):
                return await awaited
        except TimeoutError as error:
            raise Unavailable(f"{NAME} was silent for {self._silence_s:g} s") from error


class Running:
    """One process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  ``stop`` closes it
        self._process: subprocess.Popen[bytes] | None = None
        self._output: asyncio.ReadTransport | None = None
        self._unwanted = False

    async def begin(self, text: str) -> StreamReader:
        """What it writes. Errors: Unavailable where it cannot be started."""
        try:
            process = await asyncio.to_thread(self._start, text)
        except OSError as error:
            raise Unavailable(f"{NAME} cannot be started: {error.strerror}") from error
        reader = StreamReader(limit=PIECE_BYTES)
        loop = asyncio.get_running_loop()
        self._output, _ = await loop.connect_read_pipe(lambda: StreamReaderProtocol(reader), process.stdout)
        return reader

    def _start(self, text: str) -> "subprocess.Popen[bytes]":
        """In a thread, which goes on where nobody waits for it any more."""
        with tempfile.TemporaryFile() as words:  # not a pipe: one that does not read would hold up who writes
            words.write(text.encode())
            words.seek(0)
            process = subprocess.Popen(
                self._command, stdin=words, stdout=subprocess.PIPE, stderr=self._complaints, env=lent_environment()
            )
        self._process = process
        if self._unwanted:
            self._end(process)
        return process

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """Nothing happens to one that has ended."""
        process.kill()
        process.wait()
        if self._output is None and process.stdout is not None:
            process.stdout.close()

    async def finish(self) -> tuple[int, bytes]:
        """Its exit status and what it complained about; waits for its end."""
        assert self._process is not None
        status = await asyncio.to_thread(self._process.wait)
        self._complaints.seek(0)
        return status, self._complaints.read(COMPLAINT_BYTES)

    async def stop(self) -> None:
        """Kill it where it still runs."""
        self._unwanted = True
        if self._output is not None:
            self._output.close()
        if self._process is not None:
            await asyncio.to_thread(self._end, self._process)
        self._complaints.close()


def check_end(status: int, complaints: bytes) -> None:
    """Errors: NotSpeech, SynthesisFailed."""
    if b"voice does not exist" in complaints:
        raise NotSpeech(f"{NAME} has no such voice")
    if status != 0:
        raise SynthesisFailed(f"{NAME} ended with status {status}")


def voice_options(voice: str, speed: float | None) -> list[str]:
    """Errors: NotSpeech where that is no voice's name."""
    if not VOICE.fullmatch(voice):
        raise NotSpeech(f"{NAME} has no such voice")
    words_a_minute = round(WORDS_A_MINUTE * (1.0 if speed is None else speed))
    return ["-v", voice, "-s", str(min(FASTEST, max(SLOWEST, words_a_minute)))]


def plain(text: str) -> str:
    """Two brackets would begin phonemes, which are read even where no markup is."""
    return re.sub(r"\[(?=\[)", "[ ", text)
