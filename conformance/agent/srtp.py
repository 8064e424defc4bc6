"""SRTP and SRTCP of one association, over libsrtp. Source: RFC 3711, RFC 7714."""

from typing import Final

from pylibsrtp import Error, Policy, Session

from conformance.agent.dtls_agent import SrtpKeys
from conformance.agent.manner import AEAD_128, AEAD_256, CM_80

LIBSRTP_PROFILES: Final = {
    CM_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    AEAD_128: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AEAD_256: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


class Unprotectable(Exception):
    """A packet that is forged, replayed or damaged, or that libsrtp will not protect."""


class Srtp:
    """Both directions of an association."""

    def __init__(self, keys: SrtpKeys) -> None:
        profile = LIBSRTP_PROFILES[keys.profile]
        self._inbound = Session(Policy(keys.receiving, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        outbound = Policy(keys.sending, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        outbound.allow_repeat_tx = True
        self._outbound = Session(outbound)

    def protect(self, packet: bytes, *, rtcp: bool) -> bytes:
        """The packet as it goes on the wire. Errors: Unprotectable."""
        try:
            return (self._outbound.protect_rtcp if rtcp else self._outbound.protect)(packet)
        except Error as error:
            raise Unprotectable(str(error)) from error

    def unprotect(self, packet: bytes, *, rtcp: bool) -> bytes:
        """The packet as it was before the wire. Errors: Unprotectable."""
        try:
            return (self._inbound.unprotect_rtcp if rtcp else self._inbound.unprotect)(packet)
        except Error as error:
            raise Unprotectable(str(error)) from error
