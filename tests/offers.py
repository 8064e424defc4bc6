"""Offers to test with, built from parts."""

from collections.abc import Sequence

from whep_server.signaling.negotiation import Plan

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
CODECS = {
    "audio": ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:0 PCMU/8000"],
    "video": [
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtpmap:102 H264/90000",
        "a=rtcp-fb:102 goog-remb",
        "a=rtcp-fb:102 nack pli",
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "a=rtpmap:103 rtx/90000",
        "a=fmtp:103 apt=102",
        "a=rtpmap:104 H264/90000",
        "a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
        "a=rtpmap:106 H264/90000",
        "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=rtpmap:107 rtx/90000",
        "a=fmtp:107 apt=106",
        "a=rtpmap:45 AV1/90000",
        "a=rtpmap:99 ulpfec/90000",
    ],
}
FORMATS = {"audio": "111 0", "video": "96 97 102 103 104 106 107 45 99"}


def section(
    kind: str,
    mid: str | None,
    *,
    direction: str = "recvonly",
    port: int = 9,
    transport: bool = True,
    codecs: Sequence[str] | None = None,
    extra: Sequence[str] = (),
) -> list[str]:
    """The lines of one media section."""
    lines = [f"m={kind} {port} UDP/TLS/RTP/SAVPF {FORMATS.get(kind, '0')}", "c=IN IP4 0.0.0.0"]
    if mid is not None:
        lines.append(f"a=mid:{mid}")
    if transport:
        lines += ["a=ice-ufrag:ufrag", "a=ice-pwd:" + "p" * 24, f"a=fingerprint:{FINGERPRINT}", "a=setup:actpass"]
        lines += ["a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host", "a=end-of-candidates", "a=rtcp-mux"]
    return [*lines, f"a={direction}", *(CODECS.get(kind, []) if codecs is None else codecs), *extra]


def offer(
    *, sections: Sequence[Sequence[str]] | None = None, session: Sequence[str] = (), bundle: str | None = None
) -> str:
    """An offer of a browser's shape; by default it asks for audio and video."""
    chosen = [section("audio", "0"), section("video", "1")] if sections is None else sections
    mids = [line[6:] for lines in chosen for line in lines if line.startswith("a=mid:")]
    group = f"a=group:BUNDLE {' '.join(mids) if bundle is None else bundle}"
    head = ["v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", group, *session]
    return "".join(f"{line}\r\n" for line in [*head, *(line for lines in chosen for line in lines)])


def peer_answer(plan: Plan, candidates: int = 1, padding: int = 0) -> str:
    """As aiortc would answer ``plan.peer_offer``; ``padding`` makes its candidates longer."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE x", "a=msid-semantic:WMS *"]
    for each in plan.served:
        audio, kind = each.section.kind == "audio", each.codec.payload_type
        lines += [f"m={each.section.kind} 5000 UDP/TLS/RTP/SAVPF {kind}", "c=IN IP4 127.0.0.1"]
        lines += [f"a={'recvonly' if plan.receives else 'sendonly'}", f"a=mid:{each.mid}", "a=msid:stream track"]
        lines += ["a=rtcp-mux", f"a=rtpmap:{kind} {each.codec.name}/{'48000/2' if audio else '90000'}"]
        lines += [] if audio else [f"a=fmtp:{kind} profile-level-id=42e01f"]
        tail = f" {'x' * padding}" if padding else ""
        lines += [f"a=candidate:1 1 udp 1 192.0.2.{index} 5000 typ host{tail}" for index in range(candidates)]
        lines += ["a=end-of-candidates", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22, f"a=setup:{plan.setup}"]
        lines += [f"a=fingerprint:sha-{size} AA" for size in (256, 384, 512)]
    return "\r\n".join(lines) + "\r\n"
