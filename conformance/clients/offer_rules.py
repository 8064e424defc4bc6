"""Rules about the offer itself."""

from typing import Final

from conformance.check import Result, broken, noted, passed, skipped, warned
from conformance.checks.audit import stream_ids
from conformance.clients.witness import Visit

WANTED: Final = {"whip": ("sendonly", "sendrecv"), "whep": ("recvonly", "sendrecv")}


def readable(visit: Visit) -> Result:
    """It parses, and each section has its mid."""
    if not visit.posts:
        return skipped("no offer came")
    offer = visit.offer
    if not offer.sections:
        return broken(f"no session description: {visit.posts[0].request.body[:30]!r}")
    unnamed = [section.kind for section in offer.sections if section.mid is None]
    kinds = ", ".join(section.kind for section in offer.sections)
    return broken(f"no mid: {', '.join(unnamed)}") if unnamed else passed(kinds)


def direction(visit: Visit) -> Result:
    """A publisher sends, a player receives; both may say sendrecv."""
    found = [section.direction for section in visit.offer.media]
    if not found:
        return skipped("no readable offer came")
    wrong = [way for way in found if way not in WANTED[visit.protocol]]
    return broken(f"{wrong[0]}") if wrong else passed(", ".join(sorted(set(found))))


def bundled(visit: Visit) -> Result:
    """BUNDLE names all sections; rtcp-mux stands where the transport is. rtcp-mux-only is a warning."""
    offer = visit.offer
    if not offer.media:
        return skipped("no readable offer came")
    left = [section.mid for section in offer.accepted if section.mid not in offer.bundle]
    if left:
        return broken(f"not bundled: {left}")
    for name, verdict in (("rtcp-mux", broken), ("rtcp-mux-only", warned)):
        without = [
            section.mid
            for section in offer.media
            if not section.attributes.has(name) and not section.attributes.has("bundle-only")
        ]
        if without:
            return verdict(f"no {name} in {without}")
    return passed("bundled, rtcp-mux-only")


def one_stream(visit: Visit) -> Result:
    """One msid stream id; one audio and one video at most."""
    media = visit.offer.media
    if not media:
        return skipped("no readable offer came")
    kinds = [section.kind for section in media]
    if len(set(kinds)) < len(kinds):
        return broken(f"{', '.join(kinds)}")
    streams = set().union(*(stream_ids(section) for section in media))
    return passed(f"{len(kinds)} tracks") if len(streams) == 1 else broken(f"{len(streams)} stream ids")


def dtls_role(visit: Visit) -> Result:
    """Passive would make the server the client of the client."""
    role = visit.offer.transport("setup")
    if not visit.offer.media:
        return skipped("no readable offer came")
    return passed(str(role)) if role in ("actpass", "active") else broken(f"setup:{role}")


def full_ice(visit: Visit) -> Result:
    """Credentials and a fingerprint, and no ice-lite."""
    offer = visit.offer
    if not offer.media:
        return skipped("no readable offer came")
    missing = [name for name in ("ice-ufrag", "ice-pwd", "fingerprint") if not offer.transport(name)]
    if missing:
        return broken(f"no {', no '.join(missing)}")
    return broken("ice-lite") if offer.session.has("ice-lite") else passed("full ICE")


def codecs(visit: Visit) -> Result:
    """The more, the likelier it is that something plays."""
    names = {name.partition("/")[0] for section in visit.offer.media for name in section.by_format("rtpmap").values()}
    return noted(", ".join(sorted(names)) or "none")
