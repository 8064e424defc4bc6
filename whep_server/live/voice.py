"""What a stream says: the way of uploads to the worker, and of what the worker says about them to who wants to know."""

import asyncio
from collections.abc import AsyncIterator, Callable

from avatar.client import Worker, WorkerState
from avatar.messages import SpeechAccepted, SpeechFinished, SpeechRefused, SpeechStarted
from whep_server.errors import Unavailable
from whep_server.live.events import StreamEvent
from whep_server.live.upload import send_speech
from whep_server.live.utterances import Speech, Utterance
from whep_server.settings import Settings

SpeechMessage = SpeechAccepted | SpeechRefused | SpeechStarted | SpeechFinished


class Voice:
    """The one voice of a stream, by the name that the worker has for it."""

    def __init__(self, key: str, worker: Worker, settings: Settings, emit: Callable[[StreamEvent], None]) -> None:
        """``emit`` takes the events of utterances."""
        self.speech = Speech(settings.max_queued_utterances)
        self._key = key
        self._worker = worker
        self._settings = settings
        self._emit = emit
        self._time = asyncio.get_running_loop().time

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """Upload a file to be spoken after what is queued; returns when all of it is with the worker.

        Errors: NotSpeech, TooLarge, TooMany, WorkerLost, Unavailable, BadRequest.
        """
        if self._worker.state is not WorkerState.READY:
            raise Unavailable("the speech engine is starting")
        return await send_speech(self._key, self.speech, self._worker, pieces, self._settings)

    def message(self, message: SpeechMessage) -> bool:
        """What the worker says about an utterance; whether one more waits to be spoken."""
        match message:
            case SpeechAccepted():
                event = self.speech.accepted(message)
                if event is not None:
                    self._emit(event)
                return event is not None
            case SpeechRefused():
                self.speech.refused(message)
            case SpeechStarted():
                self.speech.started(message)
            case SpeechFinished():
                self.speech.finished(message)
        return False

    def tell_due(self, sample: int) -> None:
        """Tell what is heard by now. Units: 48 kHz samples."""
        for event in self.speech.due(sample):
            self._emit(event)

    def fail(self, detail: str, heard_until: int, only: list[str] | None = None) -> None:
        """As ``Speech.fail``, and tell."""
        for event in self.speech.fail(detail, heard_until, only):
            self._emit(event)
