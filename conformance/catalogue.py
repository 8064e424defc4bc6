"""All checks in running order.

First the spine that others build on, then what costs little, then live checks, which need ICE, DTLS and media. What a
module lists in ``LATE`` runs after all others: it judges what they provoked, or waits long.
"""

from typing import Final

from conformance.check import Check
from conformance.checks import (
    access,
    audit,
    created,
    discovery,
    endings,
    extensions,
    ice_restart,
    imitations,
    live_clients,
    live_counter,
    live_extensions,
    live_lifecycle,
    live_media,
    live_restart,
    refused,
    routes,
    trickle,
)

ALL_CHECKS: Final[tuple[Check, ...]] = (
    *created.CHECKS,
    *endings.CHECKS,
    *refused.CHECKS,
    *audit.CHECKS,
    *trickle.CHECKS,
    *ice_restart.CHECKS,
    *discovery.CHECKS,
    *access.CHECKS,
    *extensions.CHECKS,
    *routes.CHECKS,
    *imitations.CHECKS,
    *live_lifecycle.CHECKS,
    *live_media.CHECKS,
    *live_clients.CHECKS,
    *live_counter.CHECKS,
    *live_restart.CHECKS,
    *live_extensions.CHECKS,
    *routes.LATE,
    *refused.LATE,
    *endings.LATE,
)
