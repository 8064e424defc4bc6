"""Private or undocumented names of aiortc, aioice and pylibsrtp that we rely on: this fails when they move.

Each is written down at the top of the module that uses it; what our code does with it is tested over real connections.
"""

import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

import aioice
import pylibsrtp
import pytest
from aioice import stun
from aioice.ice import StunProtocol
from aioice.turn import TurnClientUdpProtocol, TurnTransport
from aiortc import (
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.rate import RemoteBitrateEstimator

from whep_server.rtc.estimator import LateEstimator
from whep_server.rtc.relied_on import check_relied_on

RTC = Path(__file__).resolve().parents[2] / "whep_server" / "rtc"

NAMES = [
    "aioice.ice.CONSENT_INTERVAL",
    "aioice.ice.StunProtocol.request",
    "aioice.ice.StunProtocol.send_stun",
    "aioice.ice.get_host_addresses",
    "aioice.ice.server_reflexive_candidate",
    "aioice.ice.mdns.create_mdns_protocol",
    "aioice.Connection.build_request",
    "aioice.Connection.check_incoming",
    "aioice.Connection.data_received",
    "aioice.Connection.get_component_candidates",
    "aioice.Connection.query_consent",
    "aioice.Connection.request_received",
    "aioice.turn.UDP_SOCKET_BUFFER_SIZE",
    "aiortc.rtcicetransport.Connection",
    "aiortc.rtcrtpreceiver.RemoteBitrateEstimator",
    "aiortc.RTCDtlsTransport._handle_rtcp_data",
    "aiortc.RTCDtlsTransport._handle_rtp_data",
    "aiortc.RTCDtlsTransport._register_rtp_receiver",
    "aiortc.RTCDtlsTransport._register_rtp_sender",
    "aiortc.RTCDtlsTransport._unregister_rtp_sender",
    "aiortc.RTCRtpReceiver._handle_rtp_packet",
    "aiortc.RTCRtpReceiver._run_rtcp",
    "aiortc.RTCRtpReceiver.receive",
    "aiortc.RTCRtpReceiver.stop",
    "aiortc.RTCRtpSender.send",
    "aiortc.RTCRtpSender.stop",
    "aiortc.rtp.RtpPacket",
    "aiortc.rtp.pack_header_extensions",
    "aiortc.rtp.unpack_remb_fci",
    "pylibsrtp.Session.protect",
    "pylibsrtp.Session.protect_rtcp",
]
"""Modules, classes and functions."""
ATTRIBUTES = {
    RTCRtpReceiver: (
        "_enabled",
        "_RTCRtpReceiver__started",
        "_RTCRtpReceiver__transport",
        "_RTCRtpReceiver__rtcp_task",
        "_RTCRtpReceiver__remote_streams",
        "_RTCRtpReceiver__lsr",
        "_RTCRtpReceiver__lsr_time",
    ),
    RTCRtpSender: ("_ssrc", "_rtx_ssrc"),
    RTCDtlsTransport: ("_rtp_router", "_tx_srtp"),
    TurnTransport: ("_TurnTransport__inner_protocol",),
    RTCIceTransport: ("_connection",),
    aioice.Connection: ("_nominated", "_protocols"),
    StunProtocol: ("receiver", "transactions"),
}
"""Those that only instances have."""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_we_rely_on_is_still_there(name):
    assert resolve_name(name) is not None


async def test_attributes_that_we_rely_on_are_still_there():
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        transceiver = connection.addTransceiver("audio")
        receiver, dtls = transceiver.receiver, transceiver.receiver.transport
        relay = TurnTransport(TurnClientUdpProtocol(("127.0.0.1", 1), "user", "password", 600, 300))
        ice = aioice.Connection(ice_controlling=False)
        for owner in (transceiver.sender, receiver, dtls, dtls.transport, relay, ice, StunProtocol(ice)):
            assert not [name for name in ATTRIBUTES[type(owner)] if not hasattr(owner, name)]
        assert isinstance(dtls.transport._connection, resolve_name("aiortc.rtcicetransport.Connection"))
        assert hasattr(dtls._rtp_router, "ssrc_table")
        assert hasattr(dtls._rtp_router, "register_sender")
    finally:
        await connection.close()


def test_aiortc_still_starts_a_sender_and_brings_it_rtcp_by_these_names():
    assert "await transceiver.sender.send(" in inspect.getsource(RTCPeerConnection)
    assert "await self.__sender.stop()" in inspect.getsource(RTCRtpTransceiver)
    transport = inspect.getsource(RTCDtlsTransport)
    assert "await recipient._handle_rtcp_packet(packet)" in transport
    assert "ssrc=sender._ssrc" in inspect.getsource(RTCDtlsTransport._register_rtp_sender)
    assert "tx_policy.allow_repeat_tx = True" in transport and "tx_policy.window_size = 1024" in transport


async def test_the_server_does_not_start_on_a_release_without_them(monkeypatch):
    await check_relied_on()
    monkeypatch.delattr(RTCDtlsTransport, "_register_rtp_sender")
    monkeypatch.delattr(pylibsrtp.Session, "protect_rtcp")
    with pytest.raises(RuntimeError, match="has no _register_rtp_sender, protect_rtcp"):
        await check_relied_on()


def test_aiortcs_receiver_still_asks_its_estimator_for_nothing_else():
    assert set(re.findall(r"remote_bitrate_estimator\.(\w+)\(", inspect.getsource(RTCRtpReceiver))) == {"add"}
    ours, theirs = (inspect.signature(each.add) for each in (LateEstimator, RemoteBitrateEstimator))
    assert [*ours.parameters] == [*theirs.parameters]


def test_aioice_still_fails_on_a_check_without_priority_of_its_own():
    """Why ``check_incoming`` is ours: with the default in place it reads what FFmpeg 8.0 sends."""
    source = inspect.getsource(resolve_name("aioice.Connection.check_incoming"))
    assert 'attributes["PRIORITY"]' in source
    assert isinstance(stun.Message(stun.Method.BINDING, stun.Class.REQUEST).attributes, dict)


def written_down() -> Iterator[str]:
    """Private names in the docstrings of ``rtc``'s modules, as far as they are aiortc's or aioice's."""
    for path in sorted(RTC.glob("*.py")):
        text = inspect.cleandoc(re.match(r'"""(.*?)"""', path.read_text("utf-8"), re.DOTALL)[1])
        if "Relied on" in text:
            yield from re.findall(r"(?<![\w])(_{1,2}[a-z]\w+)", text.partition("Relied on")[2])


def test_every_private_name_that_is_written_down_is_looked_after_here():
    known = {part for name in NAMES for part in name.split(".")}
    known |= {re.sub(r"^_[A-Z]\w+?(__)", r"\1", name) for names in ATTRIBUTES.values() for name in names}
    known |= {"_handle_rtcp_packet"}  # looked for above
    known |= {"_query_consent_task"}  # made by connect(): see the tests of lost peers
    assert set(written_down()) - known == set()
    assert len(set(written_down())) > 8


def test_the_versions_are_those_that_were_read():
    assert version("aiortc").startswith("1.16.") and version("aioice").startswith("0.13.")
