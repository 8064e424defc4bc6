"""Two whole peers without sockets: DTLS in either role, media both ways, a goodbye, a restart, any datagram."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.agent.dtls_agent import Certificate, make_certificate, pack_records
from conformance.agent.ice_agent import IceAgent, new_credentials
from conformance.agent.manner import AEAD_128, AEAD_256, CM_80
from conformance.agent.media_connection import Connection
from conformance.agent.media_source import MediaSource, Oddities, Track
from conformance.agent.received import Format
from conformance.agent.rtcp import Bye, KeyframeRequest
from conformance.agent.stun import Address

FORMATS = {111: Format("audio", "opus"), 102: Format("video", "h264")}
STEP_S = 0.01
LONG_S = 30.0


@dataclass
class Ends:
    """Two peers and the network between them; address and path are one number."""

    client: Connection
    server: Connection
    now_s: float = 0.0
    dropped: Callable[[bytes], bool] = lambda datagram: False
    routes: dict[Address, tuple[Connection, int]] = field(default_factory=dict)

    def add_path(self, connection: Connection, ice: IceAgent) -> Address:
        path = len(connection.paths)
        connection.paths[path] = ice
        address = (f"192.0.2.{len(self.routes) + 1}", 1000)
        self.routes[address] = (connection, path)
        return address

    def until(self, condition: Callable[[], bool]) -> None:
        end_s = self.now_s + LONG_S
        while not condition():
            assert self.now_s < end_s, "never"
            self.step()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.step()

    def step(self) -> None:
        self.now_s += STEP_S
        for end in (self.client, self.server):
            end.tick(self.now_s, self.now_s)
        while self.client.outgoing or self.server.outgoing:
            for end in (self.client, self.server):
                while end.outgoing:
                    self._carry(end, *end.outgoing.popleft())

    def _carry(self, sender: Connection, path: int, datagram: bytes, to: Address) -> None:
        source = next(address for address, place in self.routes.items() if place == (sender, path))
        receiver, at = self.routes[to]
        if not self.dropped(datagram):
            receiver.receive(at, datagram, source, self.now_s)


@pytest.fixture(scope="module")
def certificates() -> tuple[Certificate, Certificate]:
    return make_certificate("one"), make_certificate("two")


def digest(certificate: Certificate) -> tuple[str, str]:
    algorithm, _, value = certificate.fingerprint.partition(" ")
    return algorithm, value


def ends(
    certificates: tuple[Certificate, Certificate],
    *,
    client_is_dtls_client: bool = True,
    profiles: tuple[str, ...] = (AEAD_128, CM_80),
    trusted: Certificate | None = None,
) -> Ends:
    mine, theirs = certificates
    pair = Ends(Connection(mine, profiles), Connection(theirs))
    connect_path(pair)
    pair.client.set_remote([digest(trusted or theirs)], client=client_is_dtls_client, formats=FORMATS)
    pair.server.set_remote([digest(mine)], client=not client_is_dtls_client, formats=FORMATS)
    return pair


def connect_path(pair: Ends) -> None:
    """A new path on both sides."""
    offering, answering = IceAgent(new_credentials()), IceAgent(new_credentials(), controlling=False)
    pair.add_path(pair.client, offering)
    there = pair.add_path(pair.server, answering)
    offering.set_remote(answering.local, [there], pair.now_s)
    answering.set_remote(offering.local, [], pair.now_s)


def both_connected(pair: Ends) -> Callable[[], bool]:
    return lambda: pair.client.connected and pair.server.connected


def source(oddities: Oddities | None = None) -> MediaSource:
    tracks = [Track("audio", 111, 0.02, "name"), Track("video", 102, 0.1, "name")]
    return MediaSource(tracks, oddities or Oddities())


@pytest.mark.parametrize("client_is_dtls_client", [True, False])
@pytest.mark.parametrize("profile", [AEAD_128, CM_80])
def test_peers_connect_in_either_dtls_role(
    certificates: tuple[Certificate, Certificate], client_is_dtls_client: bool, profile: str
) -> None:
    pair = ends(certificates, client_is_dtls_client=client_is_dtls_client, profiles=(profile,))
    pair.until(both_connected(pair))
    assert pair.client.keys is not None
    assert pair.server.keys is not None
    assert pair.client.keys.profile == profile
    assert pair.client.keys.sending == pair.server.keys.receiving


def test_peers_without_a_common_profile_say_so(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates, profiles=(AEAD_256,))
    pair.until(lambda: pair.client.failure is not None)
    assert pair.client.failure == "DTLS agreed no SRTP protection profile"
    assert not pair.client.connected


def test_a_certificate_that_was_not_announced_is_refused(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates, trusted=certificates[0])
    pair.until(lambda: pair.client.failure is not None)
    assert "fingerprints" in str(pair.client.failure)


def test_media_arrives_whole_and_is_described(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.server.source = source()
    pair.until(both_connected(pair))
    pair.run(2)
    audio, video = pair.client.log.main("audio"), pair.client.log.main("video")
    assert audio is not None
    assert video is not None
    assert video.pictures is not None
    assert 95 <= audio.packets <= 105
    assert (audio.missing, video.missing) == (0, 0)
    assert audio.reports
    assert video.reports
    assert set(pair.client.log.names.values()) == {"name"}
    assert video.pictures.begins_with_keyframe
    assert {parameters.level_id for parameters in video.pictures.parameter_sets} == {"42e01f"}


def test_reports_tie_both_streams_to_one_clock(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.server.source = source()
    pair.until(both_connected(pair))
    pair.run(3)
    for kind, clock in (("audio", 48000), ("video", 90000)):
        stream = pair.client.log.main(kind)
        assert stream is not None
        first, last = stream.reports[0], stream.reports[-1]
        elapsed_s = (last.ntp - first.ntp) / 2**32
        assert abs((last.rtp_time - first.rtp_time) / clock - elapsed_s) < 0.001


def test_a_lost_packet_is_counted_and_costs_its_picture(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.server.source = source(Oddities(gap_every=10))
    pair.until(both_connected(pair))
    pair.run(2)
    audio = pair.client.log.main("audio")
    assert audio is not None
    assert audio.missing == pytest.approx(10, abs=1)


def test_a_keyframe_request_is_answered_by_a_keyframe(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.server.source = source()
    pair.until(both_connected(pair))
    pair.run(1)
    video = pair.client.log.main("video")
    assert video is not None
    assert video.pictures is not None
    assert len(video.pictures.keyframes_s) == 1
    pair.client.send_rtcp(KeyframeRequest(1, video.ssrc))
    pair.run(0.3)
    assert len(video.pictures.keyframes_s) == 2
    assert pair.server.keyframe_requests == 1


def test_a_goodbye_and_a_bye_are_noticed(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.until(both_connected(pair))
    pair.server.send_rtcp(Bye((7,)))
    pair.server.say_goodbye()
    pair.step()
    assert pair.client.left
    assert pair.client.log.ended == {7}


def test_a_lost_flight_of_the_handshake_is_sent_again(certificates: tuple[Certificate, Certificate]) -> None:
    """OpenSSL repeats by its own clock, after a second."""
    pair = ends(certificates)
    lost: list[bytes] = []

    def drop_first_hello(datagram: bytes) -> bool:
        if 20 <= datagram[0] <= 63 and not lost:
            lost.append(datagram)
            return True
        return False

    pair.dropped = drop_first_hello
    give_up_s = time.monotonic() + LONG_S
    while not both_connected(pair)():
        assert time.monotonic() < give_up_s, "never"
        pair.step()
        time.sleep(STEP_S)
    assert lost


def test_media_moves_to_the_path_of_a_restart(certificates: tuple[Certificate, Certificate]) -> None:
    pair = ends(certificates)
    pair.server.source = source()
    pair.until(both_connected(pair))
    pair.run(0.5)
    pair.client.paths[0].silent = True
    connect_path(pair)
    pair.until(lambda: pair.client.active == 1 and pair.server.active == 1)
    audio = pair.client.log.main("audio")
    assert audio is not None
    before = audio.by_path[0]
    pair.run(0.5)
    assert audio.by_path[0] == before
    assert audio.by_path[1] > 20
    assert audio.missing == 0


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda tail: b"\x80\x6f" + tail))
def test_any_datagram_of_a_stranger_changes_nothing(datagram: bytes) -> None:
    connection = Connection(CERTIFICATE)
    connection.paths[0] = IceAgent(new_credentials())
    connection.set_remote([digest(CERTIFICATE)], client=False, formats=FORMATS)
    connection.receive(0, datagram, ("192.0.2.66", 6), 0.0)
    assert not connection.log.sources
    assert connection.failure is None


CERTIFICATE = make_certificate()


@given(st.lists(st.tuples(st.integers(20, 63), st.binary(max_size=900)), max_size=8), st.integers(200, 1400))
def test_a_flight_is_cut_between_records_only(records: list[tuple[int, bytes]], mtu: int) -> None:
    whole = [bytes((kind,)) + b"\xfe\xfd" + bytes(8) + len(body).to_bytes(2, "big") + body for kind, body in records]
    datagrams = pack_records(b"".join(whole), mtu)
    assert b"".join(datagrams) == b"".join(whole)
    edges, at = set(), 0
    for record in whole:
        at += len(record)
        edges.add(at)
    ends_at = 0
    for datagram in datagrams:
        ends_at += len(datagram)
        assert ends_at in edges
        assert len(datagram) <= max(mtu, max(map(len, whole)))
