"""A viewer behind a link of limited rate, as a model: a queue, losses, and a receiver that estimates as aiortc's does.

No clock and no sockets: time is counted. The receiver's estimate is made by aiortc's own estimator of arrival times.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiortc.rate import RemoteBitrateEstimator

from whep_server.rtc.sender import Feedback

FPS = 25
PACKET_BYTES = 1100
HEADERS_BYTES = 58
"""IP, UDP, RTP and the tag of SRTP."""
SOUND_BYTES = 100
STEP_S = 1 / FPS


@dataclass
class Link:
    """One viewer's way."""

    rate_bps: Callable[[float], float]
    """By time."""
    queue_s: float = 0.4
    """What would wait longer is dropped."""
    loss: float = 0.0
    delay_s: float = 0.03
    remb: bool = True
    report_s: float = 1.0
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self._free_s = 0.0
        """When all that waits has left."""
        self._estimator = RemoteBitrateEstimator()
        self._remb_bps: int | None = None
        self._told = Feedback()
        self._sent = self._lost = 0
        self._sent_bytes: list[tuple[float, int]] = []
        self._next_report_s = self.report_s
        self.waits_s: list[tuple[float, float]] = []
        """How long each packet of pictures waited in the queue, by when it was sent."""
        self.lost_s: list[float] = []
        """When pictures' packets were sent that never arrived."""

    def send(self, now_s: float, size: int, *, picture: bool) -> None:
        """One packet of ``size`` bytes of payload."""
        waits_s = max(0.0, self._free_s - now_s)
        if picture:
            self._sent += 1
            self._sent_bytes.append((now_s, size))
        if waits_s > self.queue_s or self.dice.random() < self.loss:
            if picture:
                self._lost += 1
                self.lost_s.append(now_s)
            return
        self._free_s = max(self._free_s, now_s) + 8 * (size + HEADERS_BYTES) / self.rate_bps(now_s)
        if picture:
            self.waits_s.append((now_s, waits_s))
            arrived_ms = round(1000 * (self._free_s + self.delay_s))
            abs_send_time = int(now_s * (1 << 18)) & 0xFFFFFF
            estimate = self._estimator.add(arrived_ms, abs_send_time, size, 1)
            self._remb_bps = estimate[0] if estimate is not None else self._remb_bps

    def feedback(self, now_s: float) -> Feedback:
        """What the server knows by now."""
        if now_s >= self._next_report_s:
            self._next_report_s += self.report_s
            lost = self._lost / self._sent if self._sent else 0.0
            trip_s = 2 * self.delay_s + max(0.0, self._free_s - now_s)
            self._told = Feedback(self._told.reports + 1, self._remb_bps if self.remb else None, lost, trip_s)
            self._sent = self._lost = 0
        self._sent_bytes = [(at_s, size) for at_s, size in self._sent_bytes if at_s > now_s - 1]
        told, sent_bps = self._told, 8.0 * sum(size for _, size in self._sent_bytes)
        return Feedback(told.reports, told.remb_bps, told.fraction_lost, told.round_trip_s, sent_bps)


@dataclass
class Watched:
    """What a viewer was shown, second by second."""

    rungs: list[int]
    link: Link


def watch(
    link: Link,
    choose: Callable[[Feedback, float], int],
    bitrates_bps: Sequence[int],
    seconds: float,
    share: Callable[[float], float] = lambda _: 0.9,
) -> Watched:
    """A viewer's rungs, second by second, where ``choose`` is asked four times in it.

    ``share``: the part of a rung's bitrate that is sent, by time.
    """
    rung, shown, rungs = 0, -1, list[int]()
    for step in range(round(seconds * FPS)):
        now_s = step * STEP_S
        size = share(now_s) * bitrates_bps[rung] / FPS / 8
        if rung != shown or step % FPS == 0:  # a keyframe: at each change, and every second in an idle loop
            size, shown = size * 5, rung
        else:
            size = size * 5 / 6
        send_picture(link, now_s, round(size))
        for packet in range(2):
            link.send(now_s + packet * STEP_S / 2, SOUND_BYTES, picture=False)
        if step % (FPS // 4) == 0:
            rung = choose(link.feedback(now_s), now_s)
        if step % FPS == FPS - 1:
            rungs.append(rung)
    return Watched(rungs, link)


def send_picture(link: Link, now_s: float, size: int) -> None:
    """All packets of one picture at once."""
    while size > 0:
        link.send(now_s, min(size, PACKET_BYTES), picture=True)
        size -= PACKET_BYTES
