"""Which addresses and ICE servers peers are told, and how soon a vanished peer is given up.

We are a full ICE agent, never lite.  [I-MS-02] [E-SE-11]

aioice and aiortc take all this from module names, so that it holds for the whole process: ``ice_policy`` puts ours
there and puts back what it found. Relied on, read at aioice 0.13.0 and aiortc 1.16.0:
``aioice.ice.get_host_addresses``, ``CONSENT_INTERVAL``, ``StunProtocol``, ``aiortc.rtcicetransport.Connection``,
``aiortc.rtcrtpreceiver.RemoteBitrateEstimator``.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aioice.ice
import aiortc.rtcicetransport
import aiortc.rtcrtpreceiver
from aiortc import RTCConfiguration, RTCIceServer
from aiortc.rtcconfiguration import RTCBundlePolicy

from whep_server.rtc import addresses
from whep_server.rtc.connection import RestartableConnection
from whep_server.rtc.estimator import LateEstimator
from whep_server.rtc.reach import judge
from whep_server.rtc.stun_guard import GuardedProtocol
from whep_server.settings import Settings
from whep_server.signaling.ice_servers import ice_servers

logger = logging.getLogger(__name__)

CONSENT_INTERVAL_S: Final = 2
"""RFC 7675 asks for 5 s; shorter, so that a viewer that vanished is not sent media for half a minute."""


def configuration(settings: Settings) -> RTCConfiguration:
    """The peer connection's configuration. The list of servers is always given: aiortc's default is a public one."""
    stun, turn = (settings.stun_urls, settings.turn_urls) if settings.use_ice_servers else ((), ())
    known = ice_servers(stun, turn, settings.turn_login, time.time())
    servers = [RTCIceServer(urls=each.url, username=each.username, credential=each.credential) for each in known]
    return RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


@contextmanager
def ice_policy(settings: Settings) -> Iterator[None]:
    """Our addresses (see ``addresses``) and consent times for all connections made inside the block."""
    found = aioice.ice.get_host_addresses
    interval_s = aioice.ice.CONSENT_INTERVAL

    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return addresses.offered(settings, found, use_ipv4, use_ipv6)

    plain = aiortc.rtcicetransport.Connection  # type: ignore[attr-defined]  # see rtc/connection.py
    aiortc.rtcicetransport.Connection = RestartableConnection  # type: ignore[attr-defined, assignment]  # likewise
    estimator = aiortc.rtcrtpreceiver.RemoteBitrateEstimator  # type: ignore[attr-defined]  # see rtc/estimator.py
    aiortc.rtcrtpreceiver.RemoteBitrateEstimator = LateEstimator  # type: ignore[attr-defined, assignment]  # likewise
    aioice.ice.get_host_addresses = host_addresses
    aioice.ice.CONSENT_INTERVAL = CONSENT_INTERVAL_S
    protocol = aioice.ice.StunProtocol
    aioice.ice.StunProtocol = GuardedProtocol  # type: ignore[misc]  # for what comes through a TURN server
    try:
        yield
    finally:
        aiortc.rtcicetransport.Connection = plain  # type: ignore[attr-defined]  # likewise
        aiortc.rtcrtpreceiver.RemoteBitrateEstimator = estimator  # type: ignore[attr-defined]  # likewise
        aioice.ice.get_host_addresses, aioice.ice.CONSENT_INTERVAL = found, interval_s
        aioice.ice.StunProtocol = protocol  # type: ignore[misc]  # likewise


def warn_of_reach(settings: Settings) -> None:
    """Say so where only viewers in this network, or on this machine, will see anything. To be called in the policy.

    It is no warning where it was meant: HTTP listens on loopback as well, or an operator has named the addresses.
    """
    verdict = judge(settings, aioice.ice.get_host_addresses(True, True), addresses.interfaces())
    if verdict.fix:
        meant = addresses.loopback_only(settings) or settings.public_ip
        logger.log(logging.INFO if meant else logging.WARNING, "%s: %s", verdict.says, verdict.fix)
