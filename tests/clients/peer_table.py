"""Which third-party clients the tests run, each as a command line; `tests.clients.record_offers` records the same."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.ffmpeg_publisher import ffmpeg_publish
from tests.clients.peers import gstreamer, node, pion

WATCH_S = "40"
"""After which a client gives up by itself."""

PlayCommand = Callable[[str, str], list[str]]
"""From a WHEP address and a number of pictures."""
PublishCommand = Callable[[str, Path], list[str]]
"""From a WHIP address and a WAV file; libdatachannel's takes `publishable.write_media`'s file instead."""

ENDED = frozenset({200})
RACED = frozenset({200, 404})
"""The client closes its connection before it sends DELETE: the server may have seen the one before the other."""
SILENT = frozenset({None})
"""The client sends no DELETE; the server ends the session when the connection is closed."""


@dataclass(frozen=True, slots=True)
class Player:
    """A WHEP client."""

    name: str
    codec: str
    command: PlayCommand
    deleted: frozenset[int | None] = ENDED
    """What may come of its DELETE."""
    isolated: bool = False
    """It needs a network of its own: no candidate of its own on loopback, or packets for the neighbourhood."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """A WHIP client."""

    name: str
    command: PublishCommand
    deleted: frozenset[int | None] = ENDED
    isolated: bool = False
    encoded: bool = False
    """It encodes nothing itself: its file is made by `publishable.write_media`."""


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a client among ours."""
    return [sys.executable, "-m", f"tests.clients.{module}", *arguments]


def in_browser(browser: str, library: str) -> PlayCommand:
    """A WHEP library in a browser."""
    return lambda url, pictures: python("browser_peer", browser, "play", library, url, pictures, WATCH_S)


def from_browser(browser: str, library: str) -> PublishCommand:
    """A WHIP library in a browser."""
    return lambda url, wav: python("browser_peer", browser, "publish", library, url, str(wav), WATCH_S)


def in_node(script: str, codec: str) -> PlayCommand:
    """A WebRTC stack in Node."""
    return lambda url, pictures: node(script, url, codec, pictures, WATCH_S)


def on_pion(codec: str) -> PlayCommand:
    """pion."""
    return lambda url, pictures: pion(url, codec, pictures, WATCH_S)


def on_libdatachannel(*how: str) -> PublishCommand:
    """libdatachannel, as OBS uses it."""
    return lambda url, media: node("libdatachannel_publisher.mjs", url, str(media), WATCH_S, *how)


PLAYERS = (
    Player("whip-whep in Chromium", "H264", in_browser("chromium", "whip-whep"), RACED),
    Player("@eyevinn/webrtc-player in Chromium", "H264", in_browser("chromium", "@eyevinn/webrtc-player"), SILENT),
    Player("whip-whep in Firefox", "VP8", in_browser("firefox", "whip-whep"), RACED, isolated=True),
    Player("@eyevinn/webrtc-player in Firefox", "VP8", in_browser("firefox", "@eyevinn/webrtc-player"), SILENT, True),
    Player("libdatachannel", "H264", in_node("libdatachannel_player.mjs", "H264")),
    Player("libdatachannel", "VP8", in_node("libdatachannel_player.mjs", "VP8")),
    Player("werift", "H264", in_node("werift_player.mjs", "H264")),
    Player("werift", "VP8", in_node("werift_player.mjs", "VP8")),
    Player("@roamhq/wrtc", "VP8", in_node("wrtc_player.mjs", "VP8")),
    Player("pion", "H264", on_pion("H264")),
    Player("pion", "VP8", on_pion("VP8")),
)

PUBLISHERS = (
    Publisher("FFmpeg 8 in PyAV", lambda url, wav: python("pyav_publisher", url, str(wav)), SILENT),
    Publisher("FFmpeg 9, DTLS server", lambda url, wav: ffmpeg_publish(url, wav), SILENT),
    Publisher("FFmpeg 9, DTLS client", lambda url, wav: ffmpeg_publish(url, wav, dtls_active=True), SILENT),
    Publisher("libdatachannel", on_libdatachannel(), encoded=True),
    Publisher("libdatachannel without candidates", on_libdatachannel("bare"), encoded=True),
    Publisher("aiortc", lambda url, wav: python("aiortc_publisher", url, str(wav), WATCH_S)),
    Publisher("webrtcbin", lambda url, wav: gstreamer("gst_publisher.py", url, str(wav), WATCH_S), isolated=True),
    Publisher("whip-whep in Chromium", from_browser("chromium", "whip-whep"), RACED),
    Publisher("@eyevinn/whip-web-client in Chromium", from_browser("chromium", "@eyevinn/whip-web-client"), RACED),
    Publisher("whip-whep in Firefox", from_browser("firefox", "whip-whep"), RACED, isolated=True),
)
