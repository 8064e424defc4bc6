"""Who speaks on a stream: files, streamed speech, a publisher; and who makes them be silent.

A stream has one voice. What is accepted is spoken in order; a publisher has it to itself (``publisher``). Here what is
spoken (``stream_voice``), who publishes and what is interrupted meet the worker's messages about all of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from avatar.messages import Interrupted, PcmTaken, SpeechAccepted, SpeechRefused, SpeechStarted, VoiceHeard
from whep_server.errors import AlreadySpeaking, BadRequest, ServerError, Unavailable
from whep_server.live.events import StreamEvent
from whep_server.live.house import House
from whep_server.live.interruption import Interruptions
from whep_server.live.pcm_speech import PcmSpeech, PcmWay
from whep_server.live.producer_jitter import ProducerJitter
from whep_server.live.publisher import Floor
from whep_server.live.stream_voice import VERDICT_S, SpeechMessage, Voice
from whep_server.live.transmission import Transmission
from whep_server.live.utterances import Entry, Interruption, Utterance
from whep_server.metrics.facts import Cause

SAMPLE_RATES: Final = range(8_000, 96_001)
"""Units: Hz; those that ``OpenPcm`` may have."""
START_MS: Final = range(20, 1001)

ConversationMessage = SpeechMessage | PcmTaken | Interrupted | VoiceHeard


class Conversation:
    """See the module. ``key`` is what the worker and the log call the stream."""

    def __init__(
        self,
        key: str,
        house: House,
        air: Transmission,
        emit: Callable[[StreamEvent], None],
        go_live: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """``emit`` takes the stream's events, ``go_live`` opens a live stretch, ``wake`` has what is due be told."""
        self.voice = Voice(key, house.worker, house.settings, house.ledger, house.spans, emit, self._check_place)
        self.queue = self.voice.speech
        self.floor = Floor(key, self.queue, house, emit, self._check_place)
        self._interruptions = Interruptions(key, house, self.queue, air, wake)
        self._settings = house.settings
        self._check_house = house.check_place
        self._air = air
        self._go_live = go_live
        self._jitter = ProducerJitter()
        self._way = PcmWay(key, house.worker, self.queue, self._jitter, self._until_open, self._cancel)
        self._streamed: dict[str, PcmSpeech] = {}

    # --- whether it may

    @property
    def talks(self) -> bool:
        """Whether it speaks, or is to: a live stretch is on, something is on its way, or a publisher has the voice."""
        return self._air.speaking or self.says

    @property
    def says(self) -> bool:
        """Whether something is on its way to be said, or a publisher has the voice."""
        return self.queue.busy or self.floor.speaks

    def remaining_s(self) -> float | None:
        """How long until what is on its way is spoken; None where nobody knows."""
        return None if self.floor.speaks else self.queue.remaining_s(self._air.played)

    def check_may_speak(self) -> None:
        """As ``web.on_air.Stream.check_may_speak``."""
        self.floor.check_free()
        self.voice.check_ready()

    def _check_place(self) -> None:
        """For what is to be said next: who has a place keeps it. Errors: TooManySpeak."""
        if not self.talks:
            self._check_house()

    # --- what is said

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """As ``Voice.speak``. Errors: those, and AlreadyPublishing."""
        self.floor.check_free()
        return await self.voice.speak(pieces)

    def open_pcm(self, sample_rate: int, channels: int, start_ms: int | None) -> PcmSpeech:
        """As ``web.on_air.Stream.open_pcm``."""
        if sample_rate not in SAMPLE_RATES or channels not in (1, 2):
            raise BadRequest("samples are of one or two channels, at 8000 to 96000 Hz")
        if start_ms is not None and start_ms not in START_MS:
            raise BadRequest("a start buffer holds 20 to 1000 ms")
        self.floor.check_free()
        self._streamed = {name: speech for name, speech in self._streamed.items() if not speech.over}
        if any(not speech.committed for speech in self._streamed.values()):
            raise AlreadySpeaking("somebody streams speech into this stream, and has not finished")
        self.voice.check_ready()
        entry = self.queue.open()
        start_ms = self._jitter.start_ms(self._settings.pcm_start_ms) if start_ms is None else start_ms
        self._jitter.began()
        window_s = self._settings.pcm_window_s
        made = PcmSpeech(self._way, entry, sample_rate, channels, start_ms=start_ms, window_s=window_s)
        entry.maker = self._streamed[entry.id] = made
        return made

    async def _until_open(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(VERDICT_S):
                await self.voice.until_open(entry)
        except TimeoutError as error:
            raise Unavailable("the speech engine does not answer") from error

    # --- what is not

    @property
    def interruptions(self) -> int:
        """How often all speech was to end."""
        return self._interruptions.count

    async def interrupt(self) -> Interruption:
        """As ``web.on_air.Stream.interrupt``."""
        return await asyncio.shield(self._interruptions.all(Cause.ASKED))  # others may await the same answer

    async def _cancel(self, entry: Entry) -> Interruption:
        return await asyncio.shield(self._interruptions.one(entry, Cause.CANCELLED))

    def _heard(self, utterance: str) -> None:
        """A publisher's voice is heard that may interrupt."""
        if self.floor.listening(utterance) or self.floor.waiting(utterance):
            self._interruptions.all(Cause.VOICE)

    # --- the worker

    def message(self, message: ConversationMessage) -> None:
        """What the worker says."""
        match message:
            case Interrupted():
                self._interruptions.answered(message)
            case VoiceHeard():
                self._heard(message.utterance)
            case PcmTaken():
                if message.utterance in self._streamed:
                    self._streamed[message.utterance].taken(message.size)
            case SpeechStarted() if not self.queue.knows(message.utterance):
                self._interruptions.stray(message.utterance)
            case SpeechAccepted():
                if self.voice.message(message):
                    self._speak()
            case SpeechRefused() if self.floor.listening(message.utterance):
                self.floor.unheard()
            case _:
                self.voice.message(message)

    def went_idle(self) -> None:
        """The worker makes no more for now; what was accepted meanwhile it speaks in another stretch."""
        if self.queue.queued:
            self._speak()

    def _speak(self) -> None:
        self._air.moves_only = False
        if not self._air.stretches.open:
            self._go_live()

    def granted(self) -> int:
        """Up to where the worker may make what is said before its time. Units: 48 kHz samples.

        Nothing where a publisher speaks, whose voice is not there before its time.
        """
        return 0 if self.floor.speaks else self.queue.ahead(self._air.stretch_begins)

    def worker_lost(self, error: ServerError, heard_until: int) -> None:
        """What was accepted and not finished fails. Units: 48 kHz samples."""
        self._interruptions.close()
        self.floor.unheard()
        self.voice.worker_lost()
        self.voice.fail(error, heard_until)

    def close(self, error: ServerError) -> None:
        """The stream is off the air."""
        self._interruptions.close()
        self.voice.close(error)
