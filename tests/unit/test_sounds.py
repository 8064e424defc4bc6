"""One audio packet every 20 ms, live or silent."""

from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import OPUS_SAMPLES, PATIENCE_PACKETS, Codec, Unit
from tests.kept_units import KeptUnits
from tests.unit.test_idle import loop
from whep_server.live.fanout import Feed
from whep_server.live.idle import IdleLoops
from whep_server.live.playout import Playout
from whep_server.live.sounds import Sounds


class Listener:
    """A stream's sound with one listener."""

    def __init__(self, loops: IdleLoops | None = None) -> None:
        self.playout = Playout()
        if loops is None:
            loops = IdleLoops()
            loops.add(loop(0))
        self.sounds = Sounds(loops, self.playout)
        self.outlet = KeptUnits()
        self.feed = Feed(Codec.OPUS, lambda: None)
        self.feed.opened(self.outlet)

    def made(self, packet: int) -> None:
        self.playout.push(Unit("demo", 0, Codec.OPUS, packet * OPUS_SAMPLES, keyframe=True, data=b"live"))

    def hear(self, packets: range, live: bool = False) -> list[tuple[int, bytes]]:
        for packet in packets:
            self.sounds.play(packet, [self.feed], live)
        return [(unit.rtp_time // OPUS_SAMPLES, unit.payloads[0]) for unit in self.outlet.taken()]


def test_silence_then_speech_then_silence():
    listener = Listener()
    for packet in range(10, 15):
        listener.made(packet)
    heard = listener.hear(range(10)) + listener.hear(range(10, 15), live=True) + listener.hear(range(15, 20))
    assert [packet for packet, _ in heard] == list(range(20))
    assert [packet for packet, data in heard if data == b"live"] == list(range(10, 15))


@given(st.lists(st.integers(0, 8), min_size=30, max_size=30))
def test_whatever_comes_late_no_packet_is_missing_and_none_comes_twice(delays):
    listener = Listener()
    heard = []
    for now in range(40):
        for packet, delay in enumerate(delays):
            if packet + delay == now:
                listener.made(packet)
        heard += listener.hear(range(now, now + 1), live=now < 30)
    assert [packet for packet, _ in heard] == list(range(40))
    on_time = [packet for packet, delay in enumerate(delays) if delay == 0]
    assert {packet for packet, data in heard if data == b"live"} >= set(on_time)


def test_a_late_packet_is_waited_for_and_then_given_up():
    listener = Listener()
    assert listener.hear(range(PATIENCE_PACKETS), live=True) == []
    assert listener.hear(range(PATIENCE_PACKETS, PATIENCE_PACKETS + 1), live=True) == [(0, b"silence")]
    assert listener.sounds.silent_live == 1


def test_before_the_first_phase_there_is_nothing_to_send():
    assert Listener(IdleLoops()).hear(range(5)) == []


def test_who_comes_back_hears_the_present():
    listener = Listener()
    listener.sounds.skip_to(100)
    assert listener.hear(range(100, 101)) == [(100, b"silence")]


def test_after_an_interruption_only_what_is_before_it_is_waited_for():
    listener = Listener()
    listener.made(0)
    listener.sounds.hush(3)
    assert listener.hear(range(3), live=True) == [(0, b"live")], "the next two may be late"
    listener.made(1)
    listener.made(2)
    heard = listener.hear(range(3, 5), live=True)
    assert heard == [(1, b"live"), (2, b"live"), (3, b"silence"), (4, b"silence")]
    listener.sounds.hush(None)
    assert listener.hear(range(5, 7), live=True) == []


def test_what_is_missing_before_an_interruption_is_given_up_in_the_usual_time():
    listener = Listener()
    listener.sounds.hush(1)
    assert listener.hear(range(PATIENCE_PACKETS), live=True) == []
    now = PATIENCE_PACKETS
    assert listener.hear(range(now, now + 1), live=True) == [(packet, b"silence") for packet in range(now + 1)]
