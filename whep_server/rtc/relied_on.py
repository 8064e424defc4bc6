"""Whether aiortc still is what we rely on: looked at once, when the server starts.

Another release then fails at the start and says why, and not with every viewer. The modules that use the names say what
for; ``tests/unit/test_relied_on.py`` looks for all of them.
"""

from importlib.metadata import version

from aiortc import RTCConfiguration, RTCPeerConnection
from pylibsrtp import Session


async def check_relied_on() -> None:
    """Look for what every viewer needs. Errors: RuntimeError."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        sender = connection.addTransceiver("video", direction="sendonly").sender
        dtls = sender.transport
        wanted = {
            sender: ("send", "stop", "_ssrc", "_rtx_ssrc"),
            dtls: (
                "_register_rtp_sender",
                "_unregister_rtp_sender",
                "_rtp_router",
                "_tx_srtp",
                "_handle_rtcp_data",
                "_handle_rtp_data",
            ),
            dtls.transport: ("_connection",),
            Session: ("protect", "protect_rtcp"),
        }
        missing = [name for owner, names in wanted.items() for name in names if not hasattr(owner, name)]
    finally:
        await connection.close()
    if missing:
        raise RuntimeError(f"aiortc {version('aiortc')} has no {', '.join(missing)}: whep-avatar needs another release")
