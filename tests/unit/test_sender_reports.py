"""Sender reports: both tracks on one clock, whatever was sent when."""

import asyncio

from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpSdesPacket, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from tests.clients.waiting import until
from whep_server.rtc import sender_reports
from whep_server.rtc.sender_reports import (
    NTP_S,
    WALL_S,
    Account,
    MediaClock,
    ReportTimer,
    compact,
    goodbye,
    ntp_time,
    report,
    round_trip_s,
)

seconds = st.floats(0, 1e7)


def reported(clock: MediaClock, now_s: float, clock_hz: int) -> float:
    """When media time 0 was, on the wall clock, as a receiver understands a report."""
    account = Account(1, "name", clock.media_time(now_s, clock_hz), 0, 0)
    sent, _ = RtcpPacket.parse(report(account, now_s))
    media_s = sent.sender_info.rtp_timestamp % 2**32 / clock_hz
    return sent.sender_info.ntp_timestamp / 2**32 - NTP_S - media_s


@given(st.floats(0, 1e6), st.floats(0, 40_000), st.floats(0, 40_000))
def test_all_reports_of_both_tracks_agree_to_a_tick(started_s, sound_s, picture_s):
    clock = MediaClock(started_s)
    began = [reported(clock, started_s + sound_s, 48_000), reported(clock, started_s + picture_s, 90_000)]
    for each in began:
        assert abs(each - (started_s + WALL_S)) < 1 / 48_000 + 2e-6


def test_a_report_counts_what_was_sent_and_says_whose_it_is():
    packets = RtcpPacket.parse(report(Account(0xABCD, "a name", 7, 2**32 + 5, 2**32 + 6), 3.0))
    sent, source = packets
    assert isinstance(sent, RtcpSrPacket) and isinstance(source, RtcpSdesPacket)
    assert (sent.ssrc, sent.sender_info.packet_count, sent.sender_info.octet_count) == (0xABCD, 5, 6)
    assert (source.chunks[0].ssrc, source.chunks[0].items) == (0xABCD, [(1, b"a name")])


def test_the_last_one_is_a_whole_compound_packet_too():
    *before, last = RtcpPacket.parse(goodbye(Account(0xABCD, "a name", 7, 5, 6), 3.0))
    assert [type(packet) for packet in before] == [RtcpSrPacket, RtcpSdesPacket]
    assert isinstance(last, RtcpByePacket) and last.sources == [0xABCD]


@given(seconds, st.floats(0, 30_000), st.floats(0, 60))
def test_a_round_trip_is_what_passed_less_the_time_at_the_receiver(sent_s, held_s, trip_s):
    last, held = compact(ntp_time(sent_s)), round(held_s * 65_536)
    measured_s = round_trip_s(sent_s + held_s + trip_s, last, held)
    if not last:
        assert measured_s is None
    elif trip_s > 0.001:
        assert measured_s is not None and abs(measured_s - trip_s) < 1e-4


def test_a_report_on_none_of_ours_or_on_one_to_come_tells_no_round_trip():
    assert round_trip_s(100.0, 0, 0) is None
    assert round_trip_s(100.0, compact(ntp_time(101.0)), 0) is None


class Viewer:
    """Counts its reports."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def report(self, now_s: float) -> None:
        self.times.append(now_s)


async def test_everybody_has_one_turn_a_period_and_none_after_the_end(monkeypatch):
    monkeypatch.setattr(sender_reports, "PERIOD_S", 0.05)
    timer, early, late = ReportTimer(), Viewer(), [Viewer() for _ in range(30)]
    timer.add(early)
    await until(lambda: early.times, 5, "the first report")
    for viewer in late:
        timer.add(viewer)
    await until(lambda: len(early.times) >= 5, 5, "some more")
    assert {len(viewer.times) for viewer in late} <= {3, 4, 5}
    timer.discard(early)
    count, other = len(early.times), len(late[0].times)
    await until(lambda: len(late[0].times) > other + 1, 5, "those of the others")
    assert len(early.times) == count
    for viewer in late:
        timer.discard(viewer)
    assert timer._timer is None, "nothing is left to wake up for"
    before = asyncio.get_running_loop().time()
    timer.add(early)
    await until(lambda: len(early.times) > count, 5, "one that came back")
    assert asyncio.get_running_loop().time() > before
    timer.discard(early)
