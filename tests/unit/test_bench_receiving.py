"""What observers count, ask for again and keep; and how it is put in order."""

from itertools import pairwise
from pathlib import Path

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, RtpPacket, wrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from bench.flows import PATIENCE_S, Flow, feedback, restored, unwrapped
from bench.observations import Arrival, Observation, SenderReport, Track, load, save

SSRC = 0x01020304


def rtp(sequence: int, rtp_time: int = 0, payload: bytes = b"x", *, marker: bool = False) -> bytes:
    packet = RtpPacket(payload_type=96, sequence_number=sequence & 0xFFFF, timestamp=rtp_time & 0xFFFFFFFF)
    packet.ssrc, packet.payload, packet.marker = SSRC, payload, int(marker)
    return packet.serialize()


def received(*sequences: int) -> Flow:
    flow = Flow()
    for sequence in sequences:
        flow.take(rtp(sequence), at_s=1.0)
    return flow


def test_what_is_missing_is_asked_for_again_until_it_comes():
    flow = received(65_533, 65_534, 1, 3)
    assert flow.to_ask(1.0) == [65_535, 0, 2]
    assert flow.to_ask(1.01) == []
    assert flow.repair(rtp(0)) and not flow.repair(rtp(0))
    assert flow.to_ask(1.2) == [65_535, 2]
    flow.take(rtp(2), at_s=1.2)  # late, not lost
    assert flow.to_ask(1.4) == [65_535]
    assert flow.expected - flow.packets == 2


def test_what_does_not_come_is_given_up_and_a_keyframe_asked_for():
    flow = received(1, 3)
    (nack,) = RtcpPacket.parse(b"".join(feedback([flow], 1.0, reports=False)))
    assert isinstance(nack, RtcpRtpfbPacket) and nack.lost == [2] and nack.media_ssrc == SSRC
    (pli,) = RtcpPacket.parse(b"".join(feedback([flow], 1.0 + PATIENCE_S, reports=False)))
    assert isinstance(pli, RtcpPsfbPacket) and (flow.lost, flow.missing) == (1, {})
    assert feedback([flow], 3.0, reports=False) == []


def test_sound_is_not_asked_for_again():
    flow = Flow("audio")
    flow.take(rtp(1))
    flow.take(rtp(4))
    assert feedback([flow], 0.0, reports=False) == []


def test_a_report_tells_of_the_losses_since_the_last_one():
    flow = received(1, 2, 5, 6)
    flow.note_report(7 << 32, at_s=1.0)

    def report(now_s: float):
        (packet,) = RtcpPacket.parse(feedback([flow], now_s, reports=True)[0])
        assert isinstance(packet, RtcpRrPacket)
        return packet.reports[0]

    first = report(1.5)
    assert (first.packets_lost, first.fraction_lost, first.highest_sequence) == (2, 2 * 256 // 6, 6)
    assert (first.lsr, first.dlsr) == (7 << 16, 1 << 15)
    flow.take(rtp(7))
    assert report(2.5).fraction_lost == 0


def test_a_jump_is_no_loss():
    assert received(1, 20_000).missing == {}


def test_a_packet_that_was_sent_again_is_what_it_was():
    original = RtpPacket.parse(rtp(77, 900, b"payload", marker=True))
    again = wrap_rtx(original, payload_type=97, sequence_number=5, ssrc=9).serialize()
    assert restored(again, 96, SSRC) == original.serialize()


def track(*packets: tuple[int, int], kind: str = "video", reports: list[SenderReport] | None = None) -> Track:
    """Of (sequence, RTP time), each at a tenth of a second after the one before; odd ones end a picture."""
    arrivals = [
        Arrival(at / 10, rtp(sequence, rtp_time, b"%d" % sequence, marker=bool(sequence % 2)))
        for at, (sequence, rtp_time) in enumerate(packets)
    ]
    return Track(kind, arrivals, reports or [])


def test_pictures_are_whole_when_nothing_of_them_is_missing():
    units = track((0, 0), (1, 0), (2, 3600), (4, 7200), (5, 7200), (6, 10_800), (7, 10_800)).units()
    assert [(unit.rtp_time, unit.whole) for unit in units] == [
        (0, True),
        (3600, False),  # no marker
        (7200, False),  # 3 is missing before it, which may have been its first
        (10_800, True),
    ]


def test_order_is_that_of_the_numbers_and_a_picture_has_come_with_its_last_packet():
    units = track((65_534, -3600), (1, 0), (0, 0), (65_535, -3600)).units()
    assert [unit.payloads for unit in units] == [[b"65534", b"65535"], [b"0", b"1"]]
    assert [unit.at_s for unit in units] == [pytest.approx(0.3), pytest.approx(0.2)]


def test_the_senders_clock_is_that_of_its_newest_report():
    reports = [SenderReport(100.0, (1 << 32) - 90_000), SenderReport(200.0, 90_000)]
    known = track((1, -90_000), (3, 0), (5, 180_000), reports=reports)
    base = known.pieces[0].rtp_time
    assert known.ntp_s(base + 45_000) == 100.5
    assert known.ntp_s(base + 270_000) == 201.0
    assert known.ntp_s(base - 90_000) == 99.0
    with pytest.raises(ValueError, match="no sender report"):
        track((1, 0)).ntp_s(0)


@given(st.permutations(range(8)), st.integers(0, 65_535), st.integers(0, (1 << 32) - 1))
def test_any_order_within_reach_is_put_right(order: list[int], first: int, origin: int):
    arrivals = [Arrival(0.0, rtp(first + number, origin + 960 * number, b"%d" % number)) for number in order]
    pieces = Track("audio", arrivals, []).pieces
    assert [piece.payload for piece in pieces] == [b"%d" % number for number in range(8)]
    assert {later.rtp_time - earlier.rtp_time for earlier, later in pairwise(pieces)} == {960}


def test_what_was_kept_is_read_again(tmp_path: Path):
    seen = Observation("a", lost=3)
    seen.take("audio", 1.5, rtp(1))
    seen.take("video", 2.5, rtp(2))
    seen.report("video", 7.0, 9)
    save(tmp_path / "seen", [seen, Observation("b")])
    assert load(tmp_path / "seen") == [seen, Observation("b")]


def test_what_is_asked_for_again_may_go_over_the_end_of_the_numbers():
    assert unwrapped([]) == []
    assert unwrapped([7, 8, 10]) == [[7, 8, 10]]
    assert unwrapped([65534, 65535, 0, 3]) == [[65534, 65535], [0, 3]]
