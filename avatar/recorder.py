"""One utterance's chunks: its pictures as they were encoded for viewers, its sound as AAC, cut into files. No clock.

Each chunk has ``chunk_frames`` frames, the last one the rest, and a picture for each; where that came too late for who
watches, the one before is shown for longer. One AAC encoder makes the sound of all, so that nothing is heard where one
chunk ends and the next begins. AAC frames and pictures do not end together: a chunk's sound
ends with the first AAC frame that ends at or after its last picture does, and that picture is shown a little longer,
until then. A player that puts one file after the other, each from its time 0 on, so leaves no gap in the sound; the
pictures of the next chunk are late by less than an AAC frame, 21.3 ms, and that does not add up. The pieces of one
whole file need none of that: both tracks run on.

The encoder's first frame, which is of the time before the first sample, is left out: players disagree about what it
means (with an edit list FFmpeg skips it, while Chromium's MediaSource in ``sequence`` mode plays it and is longer by
21.3 ms). The first 8 ms of speech are therefore silent, and from 12 ms on it has its level. The last AAC frame is
declared as long as there is sound.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.encode import AAC_SAMPLES, AacEncoder, Picture
from avatar.fifo import Fifo
from avatar.formats import AUDIO_HZ, VIDEO_HZ, VideoFormat
from avatar.messages import RecordSpeech, SpeechChunk
from avatar.mux import AUDIO_TRACK, VIDEO_TRACK, Movie, Run, Sample, fragment, header, parameter_sets, picture_data


@dataclass(slots=True)
class _Shown:
    """A picture, and for how many frames it is shown."""

    picture: Picture
    frames: int = 1


class Recorder:
    """One utterance. Sound and pictures come in order of time; ``chunks`` gives out what is complete."""

    def __init__(self, order: RecordSpeech, samples: int, shape: VideoFormat) -> None:
        """``samples``: how long the utterance is, in 48 kHz samples."""
        self.utterance = order.utterance
        self._order, self._samples, self._shape = order, samples, shape
        self._frame_samples = AUDIO_HZ // shape.fps
        self._frames = samples // self._frame_samples
        self._chunk_frames = max(1, order.chunk_frames)
        self.total = -(-self._frames // self._chunk_frames)
        """Chunks in all."""
        self._at: int | None = None
        self._first_frame = 0
        self._waiting = Fifo(np.int16)
        self._sound = AacEncoder()
        self._heard = 0
        """Samples that the encoder was given."""
        self._primed = False
        self._aac: list[bytes] = []
        """Frames that are in no chunk yet."""
        self._aac_given = 0
        self._pictures: list[_Shown] = []
        self._taken = 0
        """Frames that it was given, with a picture or without."""
        self._broken = False
        """There is a frame without a picture."""
        self._made = 0
        """Chunks that were given out."""
        self._movie: Movie | None = None
        self._video_ticks = 0
        self._spent_s = 0.0

    def begin(self, at: int) -> None:
        """The utterance's first sample is at ``at``, in 48 kHz samples on the stream's clock."""
        self._at = at
        self._first_frame = (at + self._frame_samples // 2) // self._frame_samples

    @property
    def begun(self) -> bool:
        """Whether the utterance is being heard."""
        return self._at is not None

    @property
    def complete(self) -> bool:
        """Whether every chunk was given out."""
        return self._made == self.total

    def takes(self, frame: int) -> bool:
        """Whether the picture of that frame belongs into it. What is made a second time was taken the first time."""
        return self._at is not None and self._taken <= frame - self._first_frame < self._frames

    def begins_chunk(self, frame: int) -> bool:
        """Whether that picture has to be a keyframe."""
        return self.takes(frame) and (frame - self._first_frame) % self._chunk_frames == 0

    def add_picture(self, picture: Picture, spent_s: float) -> None:
        """The next one that it takes; encoding it took so long."""
        if self._movie is None:
            sps, pps = parameter_sets(picture.data)
            seconds = self._samples / AUDIO_HZ if self._order.whole else 0.0
            self._movie = Movie(self._shape.width, self._shape.height, sps, pps, self._sound.config, seconds)
        self._pictures.append(_Shown(picture))
        self._taken += 1
        self._spent_s += spent_s

    def repeat(self) -> None:
        """For the next frame that it takes there is no picture: the last one is shown for longer."""
        self._taken += 1
        if self._pictures:
            self._pictures[-1].frames += 1
        else:
            self._broken = True

    def add_sound(self, at: int, samples: NDArray[np.int16]) -> None:
        """20 ms of the stream from ``at`` on; what is the utterance's own is taken, once. Shapes: (960,) int16."""
        if self._at is None:
            return
        began_s = time.perf_counter()
        first, last = max(0, self._at + self._heard - at), min(len(samples), self._at + self._samples - at)
        if first < last:
            self._waiting.append(samples[first:last])
            self._heard += last - first
        self._encode(AAC_SAMPLES)
        if self._heard == self._samples and first < last:
            self._finish_sound()
        self._spent_s += time.perf_counter() - began_s

    def _encode(self, at_least: int) -> None:
        while self._waiting.count >= at_least:
            block = self._waiting.take(AAC_SAMPLES).astype(np.int16)
            self._keep(self._sound.encode(np.pad(block, (0, AAC_SAMPLES - len(block)))))

    def _finish_sound(self) -> None:
        self._encode(1)
        self._keep(self._sound.flush())

    def _keep(self, frames: list[bytes]) -> None:
        fresh = frames if self._primed else frames[1:]
        self._primed = self._primed or bool(frames)
        self._aac += fresh

    def chunks(self) -> list[SpeechChunk]:
        """Those that have become complete."""
        found = []
        while not (self.complete or self._broken) and self._frames_held() >= self._frames_of(self._made):
            end = self._sound_end(self._made)
            if self._aac_given + len(self._aac) < end:
                break
            found.append(self._make(end))
        return found

    def _frames_held(self) -> int:
        return sum(shown.frames for shown in self._pictures)

    def _frames_of(self, index: int) -> int:
        return min(self._chunk_frames, self._frames - index * self._chunk_frames)

    def _sound_end(self, index: int) -> int:
        """The AAC frames of all chunks up to that one."""
        if index == self.total - 1:
            return -(-self._samples // AAC_SAMPLES)
        return -(-(index + 1) * self._chunk_frames * self._frame_samples // AAC_SAMPLES)

    def _make(self, end: int) -> SpeechChunk:
        began_s = time.perf_counter()
        assert self._movie is not None, "a chunk has pictures"
        count = self._frames_of(self._made)
        sound = self._take_sound(end)
        pictures = self._take_pictures(count, sum(sample.duration for sample in sound))
        alone = not self._order.whole
        video_start, audio_start = (0, 0) if alone else (self._video_ticks, (end - len(sound)) * AAC_SAMPLES)
        runs = [Run(VIDEO_TRACK, video_start, pictures), Run(AUDIO_TRACK, audio_start, sound)]
        self._video_ticks += sum(sample.duration for sample in pictures)
        data = fragment(1 if alone else self._made + 1, runs)
        if alone or self._made == 0:
            data = header(self._movie) + data
        index, self._made = self._made, self._made + 1
        spent_s, self._spent_s = self._spent_s + time.perf_counter() - began_s, 0.0
        return SpeechChunk(self._order.stream, self.utterance, index, self.total, count, spent_s, data)

    def _take_sound(self, end: int) -> list[Sample]:
        count = end - self._aac_given
        taken, self._aac = self._aac[:count], self._aac[count:]
        self._aac_given = end
        beyond = max(0, end * AAC_SAMPLES - self._samples)
        return [Sample(data, AAC_SAMPLES - (beyond if index == count - 1 else 0)) for index, data in enumerate(taken)]

    def _take_pictures(self, count: int, sound_samples: int) -> list[Sample]:
        """Those of so many frames; where both tracks have to end together, the last is shown until the sound ends."""
        taken: list[_Shown] = []
        while sum(shown.frames for shown in taken) < count:
            taken.append(self._pictures.pop(0))
        each = VIDEO_HZ // self._shape.fps
        last = each
        if not self._order.whole or self._made == self.total - 1:
            sound_ticks = -(-sound_samples * VIDEO_HZ // AUDIO_HZ)
            if self._order.whole:
                sound_ticks = -(-self._samples * VIDEO_HZ // AUDIO_HZ) - self._video_ticks
            last = max(1, sound_ticks - (count - 1) * each)
        durations = [each * shown.frames for shown in taken]
        durations[-1] += last - each
        return [
            Sample(picture_data(shown.picture.data), duration, shown.picture.keyframe)
            for shown, duration in zip(taken, durations, strict=True)
        ]
