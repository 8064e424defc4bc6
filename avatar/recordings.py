"""The recordings that are being made of one stream's utterances: who takes which sound and picture, and when one ends.

A recorded utterance has finished when its last chunk was sent. What is made anew after an interruption was taken the
first time; whoever is still recorded goes on, with a keyframe, where that ends.
"""

from collections.abc import Iterable

import msgspec

from avatar.encode import Picture
from avatar.messages import RecordSpeech, SpeechFinished, VideoFormat
from avatar.outbox import Send
from avatar.recorder import Recorder
from avatar.timeline import Block


class Recordings:
    """One stream's."""

    def __init__(self, shape: VideoFormat) -> None:
        self._shape = shape
        self._recorders: dict[str, Recorder] = {}
        self._held_back: dict[str, SpeechFinished] = {}
        """Ends of recorded utterances, of which a chunk is yet to come."""
        self._taken_until = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._recorders)

    def add(self, order: RecordSpeech, samples: int) -> None:
        """Make chunks of an utterance that has not started, so many 48 kHz samples long."""
        self._recorders[order.utterance] = Recorder(order, samples, self._shape)

    def abandon(self, utterance: str) -> None:
        """Forget one that has not started."""
        if utterance in self._recorders and not self._recorders[utterance].begun:
            del self._recorders[utterance]

    def forget(self, utterances: Iterable[str]) -> None:
        """These are over, and nothing more is told of them."""
        for utterance in utterances:
            self._recorders.pop(utterance, None)
            self._held_back.pop(utterance, None)

    def clear(self) -> None:
        """Forget all."""
        self._recorders.clear()
        self._held_back.clear()

    def begin(self, utterance: str, at: int) -> None:
        """An utterance starts at ``at``, recorded or not. Units: 48 kHz samples on the stream's clock."""
        if utterance in self._recorders:
            self._recorders[utterance].begin(at)

    def again(self, taken_until: int) -> None:
        """Frames below ``taken_until`` were made, and may be made anew."""
        self._taken_until = max(taken_until, self._taken_until)

    def hear(self, block: Block) -> None:
        """The next block."""
        for recorder in self._recorders.values():
            recorder.add_sound(block.at, block.play)

    def keyframe_at(self, frame: int) -> bool:
        """Whether one is needed, however late the picture is: a chunk begins, or goes on after an interruption."""
        return any(
            recorder.begins_chunk(frame) or (recorder.takes(frame) and frame == self._taken_until)
            for recorder in self._recorders.values()
        )

    def show(self, frame: int, picture: Picture, spent_s: float) -> None:
        """The picture of a frame, which it took so long to encode."""
        for recorder in self._taking(frame):
            recorder.add_picture(picture, spent_s)

    def repeat(self, frame: int) -> None:
        """There is no picture of a frame: the last one is shown for longer."""
        for recorder in self._taking(frame):
            recorder.repeat()

    def _taking(self, frame: int) -> list[Recorder]:
        return [recorder for recorder in self._recorders.values() if recorder.takes(frame)]

    def finish(self, finished: SpeechFinished, send: Send) -> None:
        """An utterance has finished, recorded or not: tell it, after its last chunk."""
        if finished.utterance in self._recorders:
            self._held_back[finished.utterance] = finished
            self.send(send)
        else:
            send(finished)

    def send(self, send: Send) -> None:
        """What has become complete."""
        for recorder in list(self._recorders.values()):
            for chunk in recorder.chunks():
                send(chunk)
            if recorder.complete and recorder.utterance in self._held_back:
                send(self._held_back.pop(recorder.utterance))
                del self._recorders[recorder.utterance]

    def end(self, send: Send) -> None:
        """The stretch ends: a recording that lacks something cannot get it any more."""
        for name, finished in self._held_back.items():
            del self._recorders[name]
            send(msgspec.structs.replace(finished, error=finished.error or "pictures were lost"))
        self._held_back.clear()
