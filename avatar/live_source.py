"""A publisher's voice as an utterance of the timeline: Opus packets in, as they come; samples out, whenever asked for.

Between the two stands a delay, just long enough that packets are there when they are due. It has no clock: the samples
taken are the time. One line of time holds packets and sound:

    what was taken | decoded, ``_output`` | ``_position`` .. packets that wait .. ``Line.end``

Nothing is ever waited for. Where a packet is missing, sound is made up, and the position moves on over it; a packet
that comes while nothing after it was played yet is played all the same, with more delay from then on. A sender that
pauses (its time goes on, its sequence numbers do not) leaves a silence of that very length. Too much delay is taken out
again, in quiet places. All of that happens before the samples part into those played and those analysed, so lips and
sound stay together.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from avatar.decode import RATIO, Analyser, Samples
from avatar.fifo import Fifo
from avatar.live_pace import Pace
from avatar.live_packets import TOLERANCE, Line, Packet, Waiting
from avatar.loudness import Loudness
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.opus_decoder import OpusDecoder, packet_samples
from avatar.splice import RUN, Filler, Sound, lengthen, shorten

MAX_DELAY: Final = AUDIO_HZ // 5
"""200 ms of packets wait at most: beyond that a conversation suffers more from the delay than from a gap."""
LONELY: Final = AUDIO_HZ // 2
"""Packets that no others follow within half a second are begun with, however few they are."""
REMEMBERED: Final = 64
"""Packets that were given up, remembered in case they come after all."""


@dataclass(slots=True)
class LiveCounts:
    """What became of a publisher's packets. Samples are of 48 kHz."""

    packets: int = 0
    lost: int = 0
    """Never came, or too late."""
    late: int = 0
    """Of those: too late."""
    doubled: int = 0
    damaged: int = 0
    """No Opus."""
    dropped: int = 0
    """Not played, to keep the delay within bounds."""
    made_up: int = 0
    """Samples played that were not sent; silence included."""
    shortened: int = 0
    """Samples taken out."""
    lengthened: int = 0
    """Samples put in."""
    restarts: int = 0
    """How often the sender began anew."""


class Decoder(Protocol):
    """What makes samples of packets (``OpusDecoder``)."""

    def decode(self, data: bytes) -> Sound | None:
        """The samples of a packet; None where it is damaged."""
        ...


class _Output:
    """Samples ready to be taken, in both rates."""

    def __init__(self) -> None:
        self._play, self._analyse = Fifo(np.int16), Fifo(np.float32)
        self._analyser = Analyser()
        # a millisecond of silence, so that a block needs no packet beyond its own to be analysed to its end
        self.put(np.zeros(Analyser.DELAY, np.int16))

    @property
    def ready(self) -> int:
        """Samples to play whose samples to analyse are there too."""
        return min(self._play.count, self._analyse.count * RATIO)

    @property
    def count(self) -> int:
        """Samples to play."""
        return self._play.count

    def put(self, sound: Sound) -> None:
        self._play.append(sound)
        self._analyse.append(self._analyser.hear(sound))

    def end(self) -> None:
        self._analyse.append(self._analyser.flush())

    def take(self, count: int) -> Samples:
        play, analyse = self._play.take(count), self._analyse.take(-(-count // RATIO))
        return Samples(play.astype(np.int16, copy=False), analyse.astype(np.float32, copy=False))


class LiveSource:
    """One publisher's utterance; a ``timeline.Source``. Belongs to one thread."""

    lead = 0
    patience_s = None

    def __init__(self, frame_samples: int, decoder: Decoder | None = None) -> None:
        """``frame_samples``: a video frame; so much is taken at once, and must be there by then."""
        self._at_once = -(-frame_samples // OPUS_SAMPLES) * OPUS_SAMPLES
        self.counts = LiveCounts()
        self.abandoned = False
        self._decoder = decoder or OpusDecoder()
        self._line, self._waiting = Line(), Waiting()
        self._output, self._filler, self._pace = _Output(), Filler(), Pace()
        self._started = self._closed = False
        self._waited = 0  # samples taken before the start, with packets there
        self._asked = self._came = False  # before the start: taken from, and given a packet since
        self._next = 0  # on the line: where the packet played last ends
        self._over = 0  # samples made up since then
        self._passed = 0  # sequence number of the packet played, or given up, last
        self._whole = False  # whether that one could be decoded
        self._splice = True  # what is played next does not follow on what was played last
        self._given_up: dict[int, None] = {}
        self._loudness = Loudness()

    # --- packets in

    def put(self, sequence: int, rtp_time: int, data: bytes, owed: int = 0) -> None:
        """A packet has come. ``owed``: samples that are due by now, and will be taken as soon as there is time."""
        if self._closed or self.abandoned:
            return
        self.counts.packets += 1
        samples = packet_samples(data)
        if not samples:
            self.counts.damaged += 1
            return
        here = self._position + owed - self._output.count
        earliest = here + self._enough(samples) if self._started else self._line.end
        for packet in self._line.place(Packet(sequence, rtp_time, samples, data), earliest):
            self._accept(packet, here)
        self.counts.restarts = self._line.restarts

    @property
    def _position(self) -> int:
        """On the line: where the sound that was made so far ends."""
        return self._next + self._over

    def _enough(self, packet_samples: int) -> int:
        """Samples to begin with: those taken at once, and the packet that may come just after (60 ms as a rule)."""
        return self._at_once + max(packet_samples, OPUS_SAMPLES)

    def _accept(self, packet: Packet, here: int) -> None:
        if self._started and (packet.sequence <= self._passed or packet.at < self._next - TOLERANCE):
            self._too_late(packet, here)
        elif not self._waiting.add(packet):
            self.counts.doubled += 1
        elif self._started:
            self._pace.arrived(packet.at - here)
            self._bound(here)
        else:
            self._came = self._asked
            self._keep_newest(MAX_DELAY)

    def _too_late(self, packet: Packet, here: int) -> None:
        if packet.sequence not in self._given_up:
            self.counts.doubled += 1
            return
        del self._given_up[packet.sequence]
        self.counts.late += 1
        if here > packet.at:
            self._pace.missed(here - packet.at)

    def _keep_newest(self, samples: int) -> None:
        """While other utterances are spoken, what has become old is forgotten: the voice will be live."""
        while len(self._waiting) > 1 and self._line.end - self._at_first() > samples:
            self._waiting.pop()

    def _bound(self, here: int) -> None:
        """Go on later where more waits than may: a sender's backlog, or one that sends too fast."""
        too_much = self._line.end - here - MAX_DELAY
        if too_much <= 0:
            return
        target = self._position + too_much
        while len(self._waiting) > 1 and self._at_first() < target - TOLERANCE:
            self._passed = self._waiting.pop().sequence
            self.counts.dropped += 1
        target = min(target, self._at_first())
        self._splice = self._splice or target != self._position
        self._next, self._over = target, 0

    def _at_first(self) -> int:
        first = self._waiting.first
        assert first is not None
        return first.at

    def close(self) -> None:
        """No more packets come; what waits is to be played."""
        if self._closed or self.abandoned:
            return
        if len(self._waiting):
            self._start()
        while len(self._waiting):
            self._extend(OPUS_SAMPLES)
        self._closed = True
        self._output.end()

    # --- samples out

    @property
    def begun(self) -> bool:
        """Whether its turn has come: samples were taken."""
        return self._asked

    @property
    def ended(self) -> bool:
        """Whether what is available is all there is to come."""
        return self._closed or self.abandoned

    @property
    def error(self) -> str | None:
        """A publisher that goes is no error."""
        return None

    def available(self, held_blocks: int = 0) -> int:
        """As much as anybody may want, until it is closed."""
        return self._output.count if self.ended else AUDIO_HZ

    def take(self, count: int) -> Samples:
        """The next ``count`` samples; all there are, where it is closed and these are fewer."""
        while not self.ended and self._output.ready < count:
            self._extend(count - self._output.ready)
        self._pace.passed(count)
        return self._output.take(count)

    def reached(self, samples: int) -> list[tuple[str, int]]:
        """What is live is not marked."""
        return []

    def abandon(self) -> None:
        """Nobody will take the rest."""
        self.abandoned = True
        self._waiting.clear()

    def _extend(self, wanted: int) -> None:
        """Make some more sound: a packet's, or so much made up."""
        if not self._started and not self._may_start(wanted):
            self._output.put(np.zeros(wanted, np.int16))
            return
        first = self._waiting.first
        gap = wanted if first is None else first.at - self._position
        if first is not None and (gap <= 0 or self._follows(first)):
            self._play()
        else:
            self._fill(min(gap, wanted), hush=first is not None and self._whole and self._passed + 1 == first.sequence)

    def _may_start(self, wanted: int) -> bool:
        """Whether there is enough to begin with.

        Not before a packet came after samples were asked for: a stretch begins with many blocks at once, and would
        leave nothing in hand.
        """
        self._asked = True
        first = self._waiting.first
        if first is None:
            return False
        enough = self._enough(first.samples)
        if (self._came and self._line.end - first.at >= enough) or self._waited > LONELY:
            self._keep_newest(enough + self._at_once)
            self._start()
            return True
        self._waited += wanted
        return False

    def _start(self) -> None:
        first = self._waiting.first
        if self._started or first is None:
            return
        self._started = True
        self._next, self._passed, self._whole = first.at, first.sequence - 1, True

    def _follows(self, packet: Packet) -> bool:
        """Whether a packet is the very next one, give or take what encoders' clocks waver."""
        in_turn = self._whole and not self._over and packet.sequence == self._passed + 1
        return in_turn and not packet.anew and abs(packet.at - self._next) <= TOLERANCE

    def _fill(self, count: int, *, hush: bool) -> None:
        self._output.put(self._filler.make(count, hush=hush))
        self._over += count
        self.counts.made_up += count

    def _play(self) -> None:
        """Decode packets, usually one; more where the sound is to be made shorter or longer."""
        splice = self._splice or self._filler.active or bool(self._waiting.first and self._waiting.first.anew)
        sound = self._decode()
        if sound is None:
            return
        if splice:
            self._output.put(self._filler.joined(sound))
            self._splice = False
            return
        if self._pace.due():
            sound = self._changed(self._run(sound))
        self._output.put(self._filler.heard(sound))

    def _decode(self) -> Sound | None:
        packet = self._waiting.pop()
        self._give_up(self._passed + 1, packet.sequence)
        self._passed = packet.sequence
        sound = self._decoder.decode(packet.data)
        self._whole = sound is not None
        if sound is None:
            self.counts.damaged += 1
            return None
        self._next, self._over = packet.at + len(sound), 0
        self._loudness.hear(sound)
        return sound

    def _give_up(self, first: int, end: int) -> None:
        self.counts.lost += end - first
        for sequence in range(max(first, end - REMEMBERED), end):
            self._given_up[sequence] = None
        while len(self._given_up) > REMEMBERED:
            del self._given_up[next(iter(self._given_up))]

    def _run(self, sound: Sound) -> Sound:
        """The sound with that of the packets that follow, as much as a change needs, as far as they are there."""
        parts, count = [sound], len(sound)
        while count < RUN and self._waiting.first is not None and self._follows(self._waiting.first):
            more = self._decode()
            if more is None:
                break
            parts.append(more)
            count += len(more)
        return np.concatenate(parts)

    def _changed(self, run: Sound) -> Sound:
        change = self._pace.due()
        if len(run) < RUN or not (self._pace.urgent or self._loudness.quiet(run[:RUN])):
            return run
        if change > 0:
            made = shorten(run)
            self.counts.shortened += len(run) - len(made)
        elif self._line.end - self._position + len(run) > MAX_DELAY - RUN:
            return run
        else:
            made = lengthen(run)
            self.counts.lengthened += len(made) - len(run)
        self._pace.changed(len(run) - len(made))
        return made
