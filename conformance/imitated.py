"""Offers as named clients write them, with a live peer's credentials put in. The line order is theirs."""

from typing import Final

from conformance.canned import Identity

OBS_32: Final = """\
v=0
o=rtc {number} 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=group:LS 0 1
a=msid-semantic:WMS *
a=ice-options:ice2,trickle
a=fingerprint:{fingerprint}
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=sendonly
a=ssrc:{number} cname:uQm3dTz0kXbWv5nL
a=ssrc:{number} msid:obs obs-audio
a=msid:obs obs-audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1
a=setup:actpass
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:1
a=sendonly
a=msid:obs obs-video
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 goog-remb
a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
a=setup:actpass
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
"""
"""OBS 32 on libdatachannel: no candidate at all, it gathers after the answer."""

FFMPEG_8_0: Final = """\
v=0
o=FFmpeg {number} 2 IN IP4 127.0.0.1
s=FFmpegPublishSession
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:{fingerprint}
a=setup:passive
a=mid:0
a=sendonly
a=msid:FFmpeg audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:{number} cname:FFmpeg
a=ssrc:{number} msid:FFmpeg audio
m=video 9 UDP/TLS/RTP/SAVPF 106
c=IN IP4 0.0.0.0
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:{fingerprint}
a=setup:passive
a=mid:1
a=sendonly
a=msid:FFmpeg video
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:106 H264/90000
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
"""
"""FFmpeg 8.0's whip muxer: the DTLS server, without candidates and without trickle."""

FIREFOX_FULL_GATHER: Final = """\
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 {number} 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:{fingerprint}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 47005 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 {host}.local 47005 typ host
a=candidate:1 1 TCP 2105524479 {host}.local 9 typ host tcptype active
a=end-of-candidates
a=recvonly
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap-allow-mixed
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:{password}
a=ice-ufrag:{ufrag}
a=mid:0
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
m=video 9 UDP/TLS/RTP/SAVPF 120 126
c=IN IP4 0.0.0.0
a=recvonly
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap-allow-mixed
a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1
a=fmtp:120 max-fs=12288;max-fr=60
a=ice-pwd:{password}
a=ice-ufrag:{ufrag}
a=mid:1
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:126 nack
a=rtcp-fb:126 nack pli
a=rtcp-fb:126 ccm fir
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:120 VP8/90000
a=rtpmap:126 H264/90000
a=setup:actpass
"""
"""A player that waits for all candidates, in Firefox without camera permission: names nobody else can resolve."""


def written(template: str, identity: Identity, *, number: int, host: str = "") -> str:
    """A client's offer with a peer's identity in it."""
    text = template.format(
        number=number, ufrag=identity.ufrag, password=identity.password, fingerprint=identity.fingerprint, host=host
    )
    return text.replace("\n", "\r\n")
