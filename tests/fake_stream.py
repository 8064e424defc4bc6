"""One stream of the pretended worker: what it speaks, frame by frame, and how it takes that back when interrupted."""

from collections.abc import Callable
from dataclasses import dataclass, field

from avatar.messages import (
    AUDIO_HZ,
    NEUTRAL_POSE,
    OPUS_SAMPLES,
    VIDEO_HZ,
    Advance,
    ClosePcm,
    Codec,
    Encoding,
    FromWorker,
    GoLive,
    Interrupt,
    Interrupted,
    OpenLive,
    OpenPcm,
    PcmChunk,
    PcmMark,
    PcmTaken,
    RecordSpeech,
    SpeechAccepted,
    SpeechChunk,
    SpeechData,
    SpeechFinished,
    SpeechHeld,
    SpeechMark,
    SpeechRefusal,
    SpeechRefused,
    SpeechResumed,
    SpeechStarted,
    Unit,
    WentIdle,
    idle_grid,
)
from tests.fake_media import LOOP_S, SHUT_LUMA, SPEAKING_LUMA, SPEECH_MAGIC, PictureEncoder, draw, opus_packets
from whep_server.live.clock import round_up

ENDLESS = 1_000_000_000
"""Samples of a live utterance that nobody has closed."""
FADE = AUDIO_HZ * 15 // 1000
"""Of a voice that is cut off."""
PAUSE = 11 * OPUS_SAMPLES
"""From the cut to the next utterance."""
MEMORY = 1000
"""Frames that can be taken back."""
RESUME_FRAMES = 2
"""So much of streamed speech must be there before it goes on after a pause."""


@dataclass(eq=False)
class Utterance:
    """What the fake knows of one. Units: 48 kHz samples."""

    id: str
    samples: int = 0
    """What is there of it."""
    ended: bool = True
    """Whether that is all."""
    data: bytes = b""
    """Of a file."""
    chunk_frames: int = 0
    """Of one that is recorded."""
    opened: OpenPcm | None = None
    """Of one that is streamed."""
    marks: list[tuple[str, int]] = field(default_factory=list)
    played: int = 0
    held: bool = False
    barges_in: bool = False


@dataclass
class Made:
    """A frame that was made: who spoke in it, and what was played of it before."""

    frame: int
    utterance: Utterance | None
    before: int
    began: bool
    """Whether it began with that frame."""
    held: bool
    """Whether it paused before that frame."""
    holds: bool
    """Whether it pauses in it."""
    finished: bool = False
    """Whether it ended in it."""
    told: list[SpeechFinished | SpeechMark | SpeechHeld | SpeechResumed] = field(default_factory=list)


@dataclass
class FakeStream:
    """What the fake knows of one stream. ``tell`` is the way to the server."""

    name: str
    fps: int
    tell: Callable[[FromWorker], None]
    encodings: list[Encoding] = field(default_factory=list)
    queue: list[Utterance] = field(default_factory=list)
    arriving: dict[str, Utterance] = field(default_factory=dict)
    epoch: int = 0
    start: int = 0
    """Where the latest stretch began."""
    frame: int | None = None
    """The next frame to be made, None while idle."""
    sample: int = 0
    """The next audio sample to be made."""
    until: int = 0
    now: int = 0
    speaking: Utterance | None = None
    told_until: int = -1
    """What was told up to there holds, though its frame is made anew."""
    silent_until: int = 0
    """Nobody begins before this sample: after an interruption."""
    voiced: bool = False
    """Whether somebody speaks in the frame that is being made."""
    end: int | None = None
    ended: int = 0
    """Where the latest stretch ended."""
    pose: str = NEUTRAL_POSE
    rests: bool = True
    """Whether there is an idle loop of the pose; nothing ends before there is."""
    made: list[Made] = field(default_factory=list)
    encoders: dict[Encoding, PictureEncoder] = field(default_factory=dict)
    forced: set[Encoding] = field(default_factory=set)

    # --- what is to be said

    def hear(self, message: RecordSpeech | SpeechData) -> None:
        """A file arrives."""
        utterance = self.arriving.setdefault(message.utterance, Utterance(message.utterance))
        if isinstance(message, RecordSpeech):
            utterance.chunk_frames = message.chunk_frames
            return
        utterance.data += message.data
        self.epoch = max(self.epoch, message.epoch)
        if message.last:
            del self.arriving[message.utterance]
            self._judge(utterance)

    def _judge(self, utterance: Utterance) -> None:
        if not utterance.data.startswith(SPEECH_MAGIC):
            refusal = SpeechRefusal.NOT_AUDIO if utterance.data else SpeechRefusal.EMPTY
            self.tell(SpeechRefused(self.name, utterance.id, refusal, "cannot be decoded"))
            return
        utterance.samples = int(utterance.data.removeprefix(SPEECH_MAGIC)) * AUDIO_HZ // self.fps
        self._accept(utterance, utterance.samples / AUDIO_HZ)

    def _accept(self, utterance: Utterance, seconds: float | None) -> None:
        self.queue.append(utterance)
        self.tell(SpeechAccepted(self.name, utterance.id, seconds))

    def open_live(self, message: OpenLive) -> None:
        """A publisher's voice."""
        self._accept(Utterance(message.utterance, samples=ENDLESS, barges_in=message.barges_in), None)

    def close_live(self, utterance: str) -> None:
        """It goes."""
        for each in self.known():
            if each.id == utterance:
                each.samples = each.played

    def stream_in(self, message: OpenPcm | PcmChunk | PcmMark | ClosePcm) -> None:
        """Speech that is streamed in."""
        if isinstance(message, OpenPcm):
            self.epoch = max(self.epoch, message.epoch)
            self.arriving[message.utterance] = Utterance(message.utterance, ended=False, opened=message)
            return
        utterance = next((each for each in self.known() if each.id == message.utterance), None)
        if utterance is None or utterance.opened is None:
            return
        opened = utterance.opened
        match message:
            case PcmChunk():
                utterance.samples += len(message.data) // (2 * opened.channels) * AUDIO_HZ // opened.sample_rate
            case PcmMark():
                utterance.marks.append((message.name, utterance.samples))
            case ClosePcm():
                utterance.ended = True
        enough = utterance.ended or utterance.samples >= opened.start_ms * AUDIO_HZ // 1000
        if enough and self.arriving.pop(utterance.id, None) is not None:
            self._accept(utterance, None)

    def known(self) -> list[Utterance]:
        """Everything that is spoken, waits or arrives."""
        return [*([] if self.speaking is None else [self.speaking]), *self.queue, *self.arriving.values()]

    def abandon(self, utterance: str) -> None:
        """Forget what has not started."""
        self.arriving.pop(utterance, None)
        self.queue = [queued for queued in self.queue if queued.id != utterance]

    # --- making it

    def go_live(self, message: GoLive) -> None:
        """A stretch begins."""
        if self.frame is None:
            self.frame, self.end, self.encoders = message.frame, None, {}
            self.start = message.frame
            self.until = self.now = message.frame
            self.sample = self._sample_of(message.frame)

    def advance(self, message: Advance) -> None:
        """Frames are granted."""
        if self.frame is not None:
            self.until, self.now = max(self.until, message.until), max(self.now, message.now)
            self._make()

    def _sample_of(self, frame: int) -> int:
        return frame * AUDIO_HZ // self.fps

    def _make(self) -> None:
        while self.frame is not None and self.frame < self.until:
            self._begin_or_end(self.frame)
            if self.frame == self.end:
                self.tell(WentIdle(self.name, self.frame, self.pose))
                self.ended, self.frame = self.frame, None
                return
            self.voiced = voice = self._speak(self.frame)
            if self.frame >= self.now:
                self._make_pictures(self.frame)
            self.frame += 1
            self._make_sound(voice)

    def _begin_or_end(self, frame: int) -> None:
        at = self._sample_of(frame)
        if self.speaking is None and self.queue and at >= self.silent_until:
            self.speaking, self.end = self.queue.pop(0), None
            self.tell(SpeechStarted(self.name, self.speaking.id, at))
        if self.speaking is not None or self.queue or not self.rests:  # though it may pause, or has yet to begin
            self.end = None
        elif self.end is None:
            self.end = round_up(frame + 1, idle_grid(self.fps))

    def _enough(self, spoken: Utterance) -> bool:
        """Whether a pause is over."""
        there = spoken.samples - spoken.played
        return spoken.ended or there >= RESUME_FRAMES * AUDIO_HZ // self.fps

    def _speak(self, frame: int) -> bool:
        """A frame's worth of speech, as far as it is there; whether somebody speaks."""
        spoken, at = self.speaking, self._sample_of(frame)
        del self.made[:-MEMORY]
        if spoken is None:
            self.made.append(Made(frame, None, 0, began=False, held=False, holds=False))
            return False
        before = spoken.played
        began = before == 0 and not (self.made and self.made[-1].utterance is spoken)
        holds = spoken.held and not self._enough(spoken)
        self.made.append(Made(frame, spoken, before, began, spoken.held, holds))
        if spoken.held and not holds:
            spoken.held = False
            self._tell_anew(SpeechResumed(self.name, spoken.id, at, before))
        if spoken.held:
            return False
        wanted = self._sample_of(frame + 1) - at
        count = min(wanted, spoken.samples - before)
        spoken.played += count
        self._tell_marks(spoken, before, at)
        self._record(spoken)
        if spoken.ended and spoken.played == spoken.samples:
            samples = spoken.played if spoken.samples < ENDLESS else 0
            self._tell_anew(SpeechFinished(self.name, spoken.id, at + count, samples, None))
            self.made[-1].finished = True
            self.speaking = None
        elif count < wanted:
            spoken.held = True
            self._tell_anew(SpeechHeld(self.name, spoken.id, at + count, spoken.played))
        return count > 0

    def _tell_anew(self, message: SpeechFinished | SpeechMark | SpeechHeld | SpeechResumed) -> None:
        """Unless it was told, and an interruption has left it as it is."""
        if message.media_time > self.told_until:
            self.made[-1].told.append(message)
            self.tell(message)

    def _tell_marks(self, spoken: Utterance, before: int, at: int) -> None:
        for name, place in spoken.marks:
            if before < place <= spoken.played or before == place == 0:
                self._tell_anew(SpeechMark(self.name, spoken.id, name, at + place - before, place))
        if spoken.opened is not None:
            size = spoken.played * spoken.opened.sample_rate // AUDIO_HZ * 2 * spoken.opened.channels
            self.tell(PcmTaken(self.name, spoken.id, size))

    def _record(self, utterance: Utterance) -> None:
        """A chunk, where one is complete; its bytes say which frames of the utterance are in it."""
        frames, whole = (samples * self.fps // AUDIO_HZ for samples in (utterance.played, utterance.samples))
        size = utterance.chunk_frames
        if size and (frames % size == 0 or frames == whole):
            index, total = (frames - 1) // size, -(-whole // size)
            data = f"frames {index * size} to {frames}".encode()
            self.tell(SpeechChunk(self.name, utterance.id, index, total, frames - index * size, 0.001, data))

    def _make_pictures(self, frame: int) -> None:
        self.encoders = {each: encoder for each, encoder in self.encoders.items() if each in self.encodings}
        for encoding in self.encodings:
            keyframe = encoding not in self.encoders or encoding in self.forced
            self.forced.discard(encoding)
            data = self._picture(encoding, frame, keyframe)
            media_time = frame * VIDEO_HZ // self.fps
            unit = Unit(self.name, self.epoch, encoding.codec, media_time, keyframe, data, encoding.rendition)
            self.tell(unit)

    def _picture(self, encoding: Encoding, frame: int, keyframe: bool) -> bytes:
        encoder = self.encoders.setdefault(encoding, PictureEncoder(encoding.codec, self.fps))
        luma = SPEAKING_LUMA if self.voiced else SHUT_LUMA
        return encoder.encode(draw(frame % (LOOP_S * self.fps), luma), keyframe)

    def _sound(self, voice: bool) -> bytes:
        packets = opus_packets(live=voice)
        return packets[self.sample // OPUS_SAMPLES % len(packets)]

    def _make_sound(self, voice: bool) -> None:
        assert self.frame is not None
        while self.sample + OPUS_SAMPLES <= self._sample_of(self.frame):
            data = self._sound(voice)
            self.tell(Unit(self.name, self.epoch, Codec.OPUS, self.sample, keyframe=True, data=data))
            self.sample += OPUS_SAMPLES

    # --- taking it back

    def interrupt(self, message: Interrupt) -> None:
        """Silence from ``at`` on; frames from there on are made anew."""
        at = message.at if self.frame is None else max(message.at, self._sample_of(self.start))
        first = -(-at * self.fps // AUDIO_HZ)
        self._make_until(first)  # what is due before stays, though it is late
        self.epoch = message.epoch

        def ends(utterance: Utterance) -> bool:
            outlasts = utterance.barges_in and utterance.played == 0
            return message.utterance == utterance.id or (message.utterance == "" and not outlasts)

        if any(each.frame == first for each in self.made):
            self.told_until = at
        speaker, played, faded = self._speaker_at(at)
        again = self._take_back(first)
        if self.frame is None and self._sample_of(self.ended) > at:
            self.frame, self.end = first, None
        waiting = [*again, *self.queue, *self.arriving.values()]
        dropped = [each.id for each in waiting if ends(each)]
        self.queue = [each for each in [*again, *self.queue] if not ends(each)]
        self.arriving = {name: each for name, each in self.arriving.items() if not ends(each)}
        cut = speaker if speaker is not None and ends(speaker) else None
        if cut is not None:
            self.speaking, self.silent_until = None, at + PAUSE
            self.tell(Interrupted(self.name, self.epoch, cut.id, at + faded, played + faded, dropped))
        else:
            self.tell(Interrupted(self.name, self.epoch, None, at, 0, dropped))
        for message in (message for each in self.made for message in each.told):
            if message.media_time > at and (cut is None or message.utterance != cut.id):
                self.tell(message)  # of the frame in which the cut is, and which is not made anew
        if self.frame == first and self.sample > at:
            self.sample = at
            self._make_sound(voice=self.speaking is not None and not self.speaking.held)
        self._make()

    def _make_until(self, frame: int) -> None:
        if self.frame is not None and self.frame < frame:
            granted, self.until = self.until, frame
            self._make()
            self.until = granted

    def _speaker_at(self, sample: int) -> tuple[Utterance | None, int, int]:
        """Who speaks, or pauses, at a sample, not only from there on; what is played by then, and what can be faded."""
        for each in self.made:
            begins = self._sample_of(each.frame)
            if each.utterance is not None and begins <= sample < self._sample_of(each.frame + 1):
                there = each.utterance.samples
                played = each.before + (0 if each.holds else sample - begins)
                nobody = (each.finished and played >= there) or (each.began and begins == sample)
                played = min(played, there)
                fading = 0 if each.holds else min(FADE, there - played)
                return (None, 0, 0) if nobody else (each.utterance, played, fading)
        behind = not self.made or self._sample_of(self.made[-1].frame + 1) <= sample
        return (self.speaking, self.speaking.played, 0) if self.speaking is not None and behind else (None, 0, 0)

    def _take_back(self, first: int) -> list[Utterance]:
        """Unmake the frames from ``first`` on; the utterances that began there, to begin again."""
        unmade = [each for each in self.made if each.frame >= first]
        if not unmade:
            return []
        self.made = [each for each in self.made if each.frame < first]
        self.frame, self.end, self.encoders = first, None, {}
        self.speaking, again = None, []
        for each in reversed(unmade):
            if each.utterance is not None:
                each.utterance.played, each.utterance.held = each.before, each.held
                self.speaking = each.utterance
                if each.began:
                    self.speaking = None
                    again.insert(0, each.utterance)
        return again
