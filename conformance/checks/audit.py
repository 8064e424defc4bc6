"""A: what stands in the answer.

Strict makes no difference here beyond the warnings. That only private addresses are offered is a remark: a server
inside a network is right to do so.
"""

import ipaddress
from dataclasses import replace
from typing import Final

import httpx

from conformance.canned import (
    H264,
    MID_EXTENSION,
    OPUS,
    UNKNOWN_VIDEO,
    VP8,
    Section,
    audio,
    make_offer,
    video,
)
from conformance.check import Check, Result, Severity, broken, check, noted, passed, warned
from conformance.checks.refused import UNPROCESSABLE
from conformance.description import Candidate, Description, Media
from conformance.resource import answer_of
from conformance.target import Target

MUST, SHOULD, COMPAT = Severity.MUST, Severity.SHOULD, Severity.COMPAT
HASHES: Final = ("sha-256", "sha-384", "sha-512")
RIDS: Final = ("0", "1", "2")
SHIFTED: Final = {"opus/48000/2": 120, "VP8/90000": 121, "H264/90000": 122}
"""Payload types that no library uses by default."""
EXTENSION_ID: Final = 13


def direction_wanted(target: Target) -> str:
    """What every accepted section of an answer says."""
    return "recvonly" if target.protocol == "whip" else "sendonly"


def judge_directions(target: Target, answer: Description) -> Result:
    """Whether media flows the one way that the protocol is for."""
    wanted = direction_wanted(target)
    found = [f"{section.kind} {section.direction}" for section in answer.media]
    right = found and all(section.direction == wanted for section in answer.media)
    return passed(wanted) if right else broken(", ".join(found) or "no section accepted")


@check(
    "A-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-14", "E-EP-17"),
    text="a=group:BUNDLE names every accepted section.",
)
async def bundled(target: Target) -> Result:
    """max-bundle: one transport for all (RFC 9143)."""
    answer = (await target.created()).answer
    left = [section.mid for section in answer.accepted if section.mid not in answer.bundle]
    return broken(f"not bundled: {left}") if left else passed(f"BUNDLE {' '.join(answer.bundle)}")


@check(
    "A-02",
    on="both",
    severity=MUST,
    clauses=("I-EP-14", "E-EP-17"),
    text="a=rtcp-mux in every accepted section.",
)
async def muxed(target: Target) -> Result:
    """RTP and RTCP on one port."""
    return await in_every_section(target, "rtcp-mux")


@check(
    "A-03",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-15", "E-EP-17"),
    text="a=rtcp-mux-only in every bundled section (MUST in both texts, a warning here: hardly anybody does it).",
)
async def muxed_only(target: Target) -> Result:
    """RFC 8858."""
    return await in_every_section(target, "rtcp-mux-only")


async def in_every_section(target: Target, name: str) -> Result:
    """Whether all accepted audio and video sections have a property."""
    answer = (await target.created()).answer
    left = [section.mid for section in answer.media if not section.attributes.has(name)]
    return broken(f"not in {left}") if left else passed("in every section")


@check(
    "A-04",
    on="both",
    severity=MUST,
    clauses=("I-EP-09", "E-EP-11"),
    text="The plain offer is answered recvonly in WHIP, sendonly in WHEP.",
)
async def direction(target: Target) -> Result:
    """Media flows one way."""
    return judge_directions(target, (await target.created()).answer)


@check(
    "A-05",
    on="both",
    severity=MUST,
    clauses=("I-EP-09", "E-EP-11"),
    text="A sendrecv offer is answered the same, not sendrecv.",
)
async def direction_of_sendrecv(target: Target) -> Result:
    """Clients may offer it."""
    reply = await target.post(target.offer().directed("sendrecv").text)
    if reply.status_code != httpx.codes.CREATED:
        return broken(f"{reply.status_code}")
    return judge_directions(target, answer_of(reply))


@check(
    "A-06",
    on="both",
    severity=MUST,
    clauses=("I-EP-05", "E-EP-04"),
    text="setup:actpass is answered active or passive (RFC 8842 5.3).",
)
async def dtls_role(target: Target) -> Result:
    """Passive works with more clients: see GStreamer and RSA certificates."""
    answer = (await target.created()).answer
    roles = {section.inherited("setup") for section in answer.accepted}
    observed = ", ".join(sorted(str(role) for role in roles))
    return passed(observed) if roles in ({"active"}, {"passive"}) else broken(f"setup {observed}")


@check(
    "A-07",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-18",),
    text="setup:active is answered passive, or refused with 422 or 400.",
)
async def dtls_client_only(target: Target) -> Result:
    """Never active back: nobody would listen."""
    reply = await target.post(replace(target.offer(), setup="active").text)
    if reply.is_client_error:
        exact = reply.status_code in UNPROCESSABLE
        return passed(f"{reply.status_code}") if exact else warned(f"{reply.status_code} where 422 or 400 is meant")
    role = answer_of(reply).transport("setup")
    return passed("passive") if reply.is_success and role == "passive" else broken(f"{reply.status_code}, {role}")


@check(
    "A-08",
    on="both",
    severity=MUST,
    clauses=("I-EP-05", "E-EP-04"),
    text="A fingerprint of sha-256 or stronger; ufrag of 4, pwd of 22 characters or more (RFC 8122, RFC 8839 5.4).",
)
async def transport_credentials(target: Target) -> Result:
    """Of the first accepted section, or the session."""
    answer = (await target.created()).answer
    kind, _, digest = (answer.transport("fingerprint") or "").partition(" ")
    ufrag, password = answer.transport("ice-ufrag") or "", answer.transport("ice-pwd") or ""
    if kind.lower() not in HASHES or len(digest.split(":")) < 32:
        return broken(f"fingerprint {kind or 'missing'}, {len(digest.split(':'))} bytes")
    if len(ufrag) < 4 or len(password) < 22:
        return broken(f"ufrag of {len(ufrag)}, pwd of {len(password)} characters")
    return passed(f"{kind.lower()}, ufrag of {len(ufrag)}, pwd of {len(password)}")


@check(
    "A-09",
    on="both",
    severity=COMPAT,
    clauses=("I-EP-12", "E-EP-15"),
    text="The first UDP host candidate is a numeric address; none is .local, a name or unspecified (FFmpeg, Firefox).",
)
async def candidate_addresses(target: Target) -> Result:
    """FFmpeg uses the first host candidate only; Firefox drops names."""
    candidates = (await target.created()).answer.candidates()
    hosts = [candidate for candidate in candidates if candidate.transport == "udp" and candidate.kind == "host"]
    if not hosts:
        return noted(f"no UDP host candidate among {len(candidates)}")
    addresses = [(candidate.address, ip_of(candidate)) for candidate in candidates]
    bad = [text for text, ip in addresses if ip is None or ip.is_unspecified]
    if bad:
        return broken(f"no address: {bad[0]}")
    ips = [ip for _, ip in addresses if ip is not None]
    if not any(ip.is_global for ip in ips):
        return noted(f"none is public: {', '.join(sorted({text for text, _ in addresses}))}")
    return passed(hosts[0].address)


def ip_of(candidate: Candidate) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A candidate's address; None where it is a name."""
    try:
        return ipaddress.ip_address(candidate.address)
    except ValueError:
        return None


@check(
    "A-10",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-05", "E-EP-04"),
    text="With shifted payload types and extension ids, the answer uses the offer's (RFC 3264 6.1, RFC 8285).",
)
async def numbers_of_the_offer(target: Target) -> Result:
    """Some servers answer by their own table."""
    kind = target.protocol
    codecs = [replace(codec, payload=SHIFTED[codec.name]) for codec in (OPUS, VP8, H264)]
    sections = [
        replace(section, extra=tuple(_shifted(line) for line in section.extra))
        for section in (audio(kind, codecs[0]), video(kind, *codecs[1:]))
    ]
    reply = await target.post(make_offer(kind, *sections).text)
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    strange = [fault for section in answer_of(reply).media if (fault := _strange_numbers(section))]
    return broken("; ".join(strange)) if strange else passed("the offer's numbers")


def _shifted(line: str) -> str:
    return f"a=extmap:{EXTENSION_ID} {MID_EXTENSION}" if line.startswith("a=extmap:") else line


def _strange_numbers(section: Media) -> str:
    names = {str(number): name for name, number in SHIFTED.items()}
    for payload, name in section.by_format("rtpmap").items():
        if names.get(payload, "").lower() != name.lower():
            return f"{section.kind}: {payload} {name}"
    if set(section.formats) - set(names):
        return f"{section.kind}: formats {' '.join(section.formats)}"
    extensions = [value for value in section.attributes.values("extmap") if value.split()[0] != f"{EXTENSION_ID}"]
    return f"{section.kind}: extmap {extensions[0]}" if extensions else ""


@check(
    "A-11",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-05", "E-EP-04"),
    text="H264 42e01f in mode 1 is answered in mode 1 with a baseline profile, or not at all (RFC 6184 8.2.2).",
)
async def h264_parameters(target: Target) -> Result:
    """Browsers drop H264 whose parameters do not fit their own."""
    kind = target.protocol
    reply = await target.post(make_offer(kind, audio(kind), video(kind, H264)).text)
    if reply.is_client_error:
        return passed(f"{reply.status_code}: no H264 here")
    for section in answer_of(reply).media:
        for payload, name in section.by_format("rtpmap").items():
            if name.lower() == "h264/90000":
                return _judge_h264(section.by_format("fmtp").get(payload, ""))
    return passed("answered without H264") if reply.is_success else broken(f"{reply.status_code}")


def _judge_h264(text: str) -> Result:
    pairs = (item.strip().partition("=") for item in text.split(";"))
    parameters = {name.lower(): value.strip().lower() for name, _, value in pairs}
    profile = parameters.get("profile-level-id", "")
    baseline = profile.startswith("42") or (profile.startswith("4d") and profile[2:3] in "89abcdef")
    good = baseline and len(profile) == 6 and parameters.get("packetization-mode") == "1"
    return passed(text) if good else broken(text or "no fmtp")


@check(
    "A-12",
    on="whep",
    severity=MUST,
    clauses=("E-EP-18",),
    text="One and the same msid stream id in all sections.",
)
async def one_stream(target: Target) -> Result:
    """Players synchronise lips by it. A stream id on ssrc lines alone is the older form."""
    answer = (await target.created()).answer
    streams = {mid_of(section): stream_ids(section) for section in answer.media}
    without = [mid for mid, ids in streams.items() if not ids]
    if without:
        return broken(f"no msid in {without}")
    ids = set().union(*streams.values())
    return passed(f"msid {ids.pop()}") if len(ids) == 1 else broken(f"{len(ids)} stream ids")


def mid_of(section: Media) -> str:
    """A section's name for a report."""
    return section.mid or section.kind


def stream_ids(section: Media) -> set[str]:
    """The stream ids of a section's msid attributes (RFC 8830), or of its ssrc lines."""
    values = section.attributes.values("msid")
    if not values:
        lines = (value.partition(" msid:") for value in section.attributes.values("ssrc"))
        values = [rest for _, found, rest in lines if found]
    return {value.split()[0] for value in values if value.split()}


@check(
    "A-13",
    on="whep",
    severity=MUST,
    tier=2,
    clauses=("E-EP-09",),
    text="A data channel beside audio and video never fails the session; refused sections have port 0.",
)
async def refused_sections(target: Target) -> Result:
    """Asked a second time with video of an unknown codec, which may be refused in part (port 0) or as a whole (4xx)."""
    channel = Section("application", "2", "sendrecv", ())
    reply = await target.post(make_offer("whep", audio("whep"), video("whep"), channel).text)
    media = {section.kind for section in answer_of(reply).media}
    if not reply.is_success or media != {"audio", "video"}:
        return broken(f"with a data channel: {reply.status_code}, {' and '.join(sorted(media)) or 'no media'}")
    reply = await target.post(make_offer("whep", audio("whep"), video("whep", UNKNOWN_VIDEO), channel).text)
    if reply.is_client_error:
        return noted(f"201 with a data channel; {reply.status_code} with an unknown codec beside it")
    accepted = [section.kind for section in answer_of(reply).media]
    return passed("201; refused by port 0") if accepted == ["audio"] else broken(f"{reply.status_code}, {accepted}")


@check(
    "A-14",
    on="whip",
    severity=MUST,
    tier=3,
    clauses=("I-EP-29",),
    text="Simulcast is answered by a subset with matching rids, or not at all (RFC 8853 5.3.2).",
)
async def simulcast(target: Target) -> Result:
    """Servers that know no simulcast take the offer as if it were not there."""
    rids = tuple(f"a=rid:{rid} send" for rid in RIDS)
    plain = video("whip")
    section = replace(plain, extra=(*plain.extra, *rids, f"a=simulcast:send {';'.join(RIDS)}"))
    reply = await target.post(make_offer("whip", audio("whip"), section).text)
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    for answered in answer_of(reply).media:
        value = answered.attributes.value("simulcast")
        if value is not None:
            return _judge_simulcast(value, answered.attributes.values("rid"))
    return passed("answered without simulcast")


def _judge_simulcast(value: str, rids: list[str]) -> Result:
    way, _, listed = value.partition(" ")
    chosen = {part.lstrip("~") for group in listed.split(";") for part in group.split(",")}
    received = {rid.split()[0] for rid in rids if rid.split()[1:2] == ["recv"]}
    good = way == "recv" and chosen <= set(RIDS) and chosen <= received
    return passed(value) if good else broken(f"simulcast:{value}, rids {sorted(received)}")


@check(
    "A-15",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-12", "I-MS-02", "E-EP-15", "E-SE-11"),
    text="ice-lite only with public candidates; a=end-of-candidates shows that the list is complete.",
)
async def lite_only_public(target: Target) -> Result:
    """A missing end-of-candidates is a remark: the texts do not ask for it."""
    answer = (await target.created()).answer
    ips = [ip for candidate in answer.candidates() if (ip := ip_of(candidate)) is not None]
    if answer.session.has("ice-lite") and not any(ip.is_global for ip in ips):
        return broken(f"ice-lite with {', '.join(map(str, ips)) or 'no address'}")
    ended = answer.session.has("end-of-candidates") or any(
        section.attributes.has("end-of-candidates") for section in answer.sections
    )
    return passed("end-of-candidates") if ended else noted("no end-of-candidates")


CHECKS: Final[tuple[Check, ...]] = (
    bundled,
    muxed,
    muxed_only,
    direction,
    direction_of_sendrecv,
    dtls_role,
    dtls_client_only,
    transport_credentials,
    candidate_addresses,
    numbers_of_the_offer,
    h264_parameters,
    one_stream,
    refused_sections,
    simulcast,
    lite_only_public,
)
