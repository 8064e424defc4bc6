"""Has text spoken, by whatever reads text aloud here.

A stream speaks one text after another, in the order of the requests. Each is synthesized at once, so that it is there
when its turn comes. An interruption stops the synthesis, and drops the texts that wait.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from whep_server.errors import NoSpeechSynthesis, TooMany, UploadBroken
from whep_server.settings import Settings
from whep_server.web.bodies import HttpRequest
from whep_server.web.espeak_ng import EspeakNg, find_espeak
from whep_server.web.narration import Accepted, Spoken, narrate
from whep_server.web.on_air import Stream
from whep_server.web.speech_endpoint import SpeechEndpoint
from whep_server.web.synthesis import HOW_TO, Synthesizer, Words
from whep_server.web.tasks import ended_with_block

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Texts:
    """Those of one stream."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one whose sound is being handed on; the others get it in the order in which they came."""
    count: int = 0


class Narrator:
    """Has text spoken on any stream."""

    def __init__(self, synthesizer: Synthesizer | None, most: int, group: asyncio.TaskGroup) -> None:
        """``most`` texts may be under way on one stream; ``group`` owns their tasks."""
        self._synthesizer = synthesizer
        self._most = most
        self._group = group
        self._texts: dict[str, Texts] = {}

    async def speak(self, stream: Stream, words: Words, request: HttpRequest) -> Spoken:
        """Have ``words`` spoken after what is queued; returns when that is certain.

        Where the client goes away before that, it is not spoken. Errors: NoSpeechSynthesis, TooMany, UploadBroken,
        those of a synthesizer, of ``Stream.check_may_speak`` and of ``open_pcm``, Interrupted.
        """
        accepted = self._begin(stream, words)
        try:
            async with asyncio.TaskGroup() as group:
                gone = group.create_task(_until_gone(request), name="text-gone")
                accepted.add_done_callback(lambda _: gone.cancel())
        finally:
            unwanted = accepted.cancel()  # which ends its task, too
        if unwanted:
            raise UploadBroken("the client went away before the text could be spoken")
        return accepted.result()

    def _begin(self, stream: Stream, words: Words) -> Accepted:
        if self._synthesizer is None:
            raise NoSpeechSynthesis(f"text cannot be spoken here: {HOW_TO}")
        stream.check_may_speak()  # before anything is paid for
        texts = self._texts.setdefault(stream.name, Texts())
        if texts.count >= self._most:
            raise TooMany(f"{texts.count} texts are waiting already")
        texts.count += 1
        accepted: Accepted = asyncio.get_running_loop().create_future()
        narration = narrate(stream, texts.turn, self._synthesizer.read(words), accepted)
        task = self._group.create_task(_survived(narration, accepted), name=f"text-{stream.name}")
        task.add_done_callback(lambda _: self._ended(stream.name, texts))
        accepted.add_done_callback(lambda done: done.cancelled() and task.cancel())
        return accepted

    def _ended(self, name: str, texts: Texts) -> None:
        texts.count -= 1
        if not texts.count:
            del self._texts[name]


async def _survived(narration: Coroutine[object, object, None], accepted: Accepted) -> None:
    """One text's mistake must not end the others."""
    try:
        await narration
    except Exception as error:
        if accepted.done():
            logger.exception("a text could not be spoken to its end")
        else:
            accepted.set_exception(error)  # and whoever asked for it logs it


async def _until_gone(request: HttpRequest) -> None:
    """Until the client of a request whose body was read is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def open_narrator(settings: Settings) -> AsyncIterator[Narrator]:
    """By the endpoint of the settings, else by espeak-ng where it is installed. Leaving the block ends all of it."""
    async with AsyncExitStack() as stack:
        synthesizer: Synthesizer | None = None
        if settings.tts_url:
            synthesizer = SpeechEndpoint(settings, await stack.enter_async_context(httpx.AsyncClient()))
        elif program := find_espeak():
            synthesizer = EspeakNg(program, settings)
        group = await stack.enter_async_context(ended_with_block())
        yield Narrator(synthesizer, settings.max_queued_utterances, group)


Narrating = NamedDependency[SkipValidation[Narrator]]
"""The narrator, as a handler's argument."""
