"""What the server is told of the places in speech that the timeline marks."""

import logging

from avatar.messages import AUDIO_HZ, SpeechFinished, SpeechHeld, SpeechMark, SpeechResumed, SpeechStarted
from avatar.timeline import Finished, Held, Mark, Marked, Resumed, Started

log = logging.getLogger(__name__)

Told = SpeechStarted | SpeechFinished | SpeechMark | SpeechHeld | SpeechResumed


def message_of(stream: str, mark: Mark) -> Told:
    """The message for a mark of ``stream``; an utterance that runs dry is logged, too."""
    match mark:
        case Started():
            return SpeechStarted(stream, mark.utterance, mark.at)
        case Finished():
            return SpeechFinished(stream, mark.utterance, mark.at, mark.samples, mark.error)
        case Marked():
            return SpeechMark(stream, mark.utterance, mark.name, mark.at, mark.samples)
        case Resumed():
            return SpeechResumed(stream, mark.utterance, mark.at, mark.samples)
        case Held():
            about, after_s = {"stream": stream, "utterance": mark.utterance}, mark.samples / AUDIO_HZ
            log.info("stream %s: %s ran dry after %.1f s", stream, mark.utterance, after_s, extra=about)
            return SpeechHeld(stream, mark.utterance, mark.at, mark.samples)
