"""The mock's answers and restart fragments, built line by line from the offer (RFC 9429 section 5.3.1)."""

from typing import Final

from conformance import ProtocolName
from conformance.canned import Identity
from conformance.description import Description, Media
from conformance.mock.media import MediaSide

CODECS: Final = {"audio": ("opus/48000/2",), "video": ("h264/90000", "vp8/90000")}
ICE_OPTIONS: Final = "trickle"
STREAM: Final = "mock-stream"


class Refused(Exception):
    """An offer that is not taken."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def codec_of(section: Media) -> str | None:
    """The payload type of the first codec of a section that the mock knows."""
    names = section.by_format("rtpmap")
    for known in CODECS.get(section.kind, ()):
        for payload in section.formats:
            if names.get(payload, "").lower() == known and _fits(section, payload, known):
                return payload
    return None


def _fits(section: Media, payload: str, name: str) -> bool:
    return not name.startswith("h264") or "packetization-mode=1" in section.by_format("fmtp").get(payload, "")


def choose(offer: Description, protocol: ProtocolName) -> dict[int, str]:
    """Which sections are served, by index, with the payload type of each. Errors: Refused."""
    wanted = ("sendonly", "sendrecv") if protocol == "whip" else ("recvonly", "sendrecv")
    media = [(index, section) for index, section in enumerate(offer.sections) if section.kind in CODECS]
    eager = [(index, section) for index, section in media if section.direction in wanted and section.accepted]
    if not eager:
        raise Refused(422, f"no section is {' or '.join(wanted)}")
    chosen: dict[int, str] = {}
    for kind in CODECS:
        sections = [(index, section) for index, section in eager if section.kind == kind]
        if protocol == "whip" and len(sections) > 1:
            raise Refused(422, f"more than one {kind} track")
        if sections and (payload := codec_of(sections[0][1])) is not None:
            chosen[sections[0][0]] = payload
        elif sections and protocol == "whip":
            raise Refused(422, f"no known {kind} codec")
    if not chosen:
        raise Refused(422, "no known codec")
    return chosen


def check_transport(offer: Description, index: int) -> None:
    """Errors: Refused where a section cannot be connected."""
    for name in ("fingerprint", "ice-ufrag", "ice-pwd"):
        if offer.sections[index].inherited(name) is None:
            raise Refused(400, f"no {name}")


def answer(offer: Description, protocol: ProtocolName, side: MediaSide) -> str:
    """The answer to an offer. Errors: Refused."""
    chosen = choose(offer, protocol)
    first = min(chosen)
    check_transport(offer, first)
    role = "active" if offer.sections[first].inherited("setup") == "passive" else "passive"
    mids = [offer.sections[index].mid or str(index) for index in sorted(chosen)]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    for index, section in enumerate(offer.sections):
        if index not in chosen:
            lines += refused(section)
            continue
        lines += served(section, chosen[index], protocol, side.identity, role)
        lines += [*candidate_lines(side)] if index == first else []
    return joined(lines)


def refused(section: Media) -> list[str]:
    """A section that is not served."""
    mid = [f"a=mid:{section.mid}"] if section.mid is not None else []
    return [f"m={section.kind} 0 {section.protocol} {section.formats[0]}", "c=IN IP4 0.0.0.0", *mid, "a=inactive"]


def served(section: Media, payload: str, protocol: ProtocolName, identity: Identity, role: str) -> list[str]:
    """A section that is served."""
    lines = [f"m={section.kind} 9 {section.protocol} {payload}", "c=IN IP4 0.0.0.0"]
    lines += [f"a=mid:{section.mid}"] if section.mid is not None else []
    lines += [f"a={'recvonly' if protocol == 'whip' else 'sendonly'}", *credentials(identity)]
    lines += [f"a=ice-options:{ICE_OPTIONS}", f"a=fingerprint:{identity.fingerprint}", f"a=setup:{role}"]
    lines += ["a=rtcp-mux", "a=rtcp-mux-only", f"a=rtpmap:{payload} {section.by_format('rtpmap')[payload]}"]
    parameters = section.by_format("fmtp").get(payload)
    lines += [f"a=fmtp:{payload} {parameters}"] if parameters else []
    lines += [f"a=extmap:{value}" for value in section.attributes.values("extmap") if value.endswith(":mid")]
    return lines + ([f"a=msid:{STREAM} {section.kind}"] if protocol == "whep" else [])


def credentials(identity: Identity) -> list[str]:
    """The ICE credentials' lines."""
    return [f"a=ice-ufrag:{identity.ufrag}", f"a=ice-pwd:{identity.password}"]


def candidate_lines(side: MediaSide) -> list[str]:
    """All candidates, and that these are all."""
    return [*(f"a=candidate:{candidate}" for candidate in side.candidates), "a=end-of-candidates"]


def restart_fragment(offer: Description, side: MediaSide) -> str:
    """What a restart is answered with."""
    first = offer.sections[0]
    section = [f"m={first.kind} 9 {first.protocol} {first.formats[0]}"]
    section += [f"a=mid:{first.mid}"] if first.mid is not None else []
    return joined([*credentials(side.identity), f"a=ice-options:{ICE_OPTIONS}", *section, *candidate_lines(side)])


def joined(lines: list[str]) -> str:
    """Lines as they go over the wire."""
    return "".join(f"{line}\r\n" for line in lines)
