"""Times that the live checks judge by, in seconds; tests of the tool make them short."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How long what may take."""

    connect_s: float = 10.0
    """ICE and DTLS, from the answer."""
    media_s: float = 5.0
    """The first packet of each kind, once connected."""
    quiet_s: float = 2.0
    """Media and STUN after a DELETE."""
    vanish_s: float = 45.0
    """A server notices that its peer is gone: consent expires after 30 s (RFC 7675 section 5.1)."""
    goodbye_s: float = 5.0
    """A server notices a DTLS close_notify."""
    keyframe_s: float = 2.0
    """A keyframe after a PLI."""
    watch_s: float = 30.0
    """Media is watched for gaps and reports."""
    look_s: float = 3.0
    """Pictures are looked at."""
    steady_s: float = 5.0
    """Media goes on after a restart that was refused."""
    restart_s: float = 5.0
    """Media is back after an ICE restart."""
    settle_s: float = 1.0
    """Short watch for what should not come; also the longest pause within steady media."""
