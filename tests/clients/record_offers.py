"""Records anew what every client of the tests sends: `python -m tests.clients.record_offers [PART_OF_A_NAME ...]`.

Runs each client, in a network of its own and through `tests.clients.offer_recorder`, against the real server, and
writes tests/data/offers/recorded/. Needs root, and what `make peers` and `make debian` install; Meetecho's client is
among them where FORKY names a folder that tests/peers/forky.sh has made.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import av

from tests.clients.ffmpeg_publisher import ffmpeg_publish, program
from tests.clients.meetecho_publisher import FORKY, meetecho_publish
from tests.clients.namespace import Namespace, network_namespace, server_inside
from tests.clients.peer_table import from_browser, in_browser, in_node, on_pion, python
from tests.clients.peers import PACKAGES, gstreamer, need, node
from tests.clients.player_page import PLAY
from tests.clients.publishable import write_media
from tests.clients.speech_files import sentence

FOLDER = Path(__file__).resolve().parents[1] / "data" / "offers" / "recorded"
SENTENCE_S = 2.0
PICTURES = "25"
LIMIT_S = "40"
WHEP, WHIP = "{server}/whep/demo", "{server}/whip/demo"
PAGE = ("{server}/player/demo", PLAY, PICTURES, LIMIT_S)


def said(*command: str) -> str:
    """The first version number that a program prints, or the date that stands for one."""
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r"(?<=git)\d{8}", output) or re.search(r"\d+(\.\d+)*", output)
    assert found, f"{command}: {output}"
    return found[0]


def debian(package: str) -> str:
    """The upstream version of an installed Debian package."""
    return said("dpkg-query", "-W", "-f", "${Version}", package)


def npm(package: str) -> str:
    """The installed version of a package."""
    found = re.search(r'"version": "([^"]+)"', (PACKAGES / package / "package.json").read_text("utf-8"))
    assert found, package
    return found[1]


def players() -> Iterator[tuple[str, list[str]]]:
    """(client and version, command)."""
    chromium = f"chromium-{said(need('chromium'), '--version').split('.')[0]}"
    firefox = f"firefox-{said(need('firefox-esr'), '--version').split('.')[0]}"
    gst = f"gstreamer-{debian('gstreamer1.0-plugins-bad')}"
    pion = f"pion-{debian('golang-github-pion-webrtc.v3-dev')}"
    yield f"{chromium}-our-player", python("chromium_viewer", *PAGE)
    yield f"{firefox}-our-player", python("firefox_viewer", *PAGE)
    for browser, name in (("chromium", chromium), ("firefox", firefox)):
        for library in ("whip-whep", "@eyevinn/webrtc-player"):
            yield f"{name}-{slug(library)}-{npm(library)}", in_browser(browser, library)(WHEP, PICTURES)
    yield f"{gst}-webrtcbin-h264", gstreamer("gst_viewer.py", WHEP, "h264", PICTURES, LIMIT_S)
    yield f"{gst}-webrtcbin-vp8", gstreamer("gst_viewer.py", WHEP, "vp8", PICTURES, LIMIT_S)
    for codec in ("H264", "VP8"):
        end = codec.lower()
        yield (
            f"node-datachannel-{npm('node-datachannel')}-{end}",
            in_node("libdatachannel_player.mjs", codec)(WHEP, PICTURES),
        )
        yield f"werift-{npm('werift')}-{end}", in_node("werift_player.mjs", codec)(WHEP, PICTURES)
        yield f"{pion}-{end}", on_pion(codec)(WHEP, PICTURES)
        yield f"aiortc-{version('aiortc')}-{end}", python("recording_viewer", WHEP, codec, PICTURES, LIMIT_S)
    yield f"roamhq-wrtc-{npm('@roamhq/wrtc')}", in_node("wrtc_player.mjs", "VP8")(WHEP, PICTURES)


def publishers(wav: Path) -> Iterator[tuple[str, list[str]]]:
    """(client and version, command)."""
    chromium = f"chromium-{said(need('chromium'), '--version').split('.')[0]}"
    firefox = f"firefox-{said(need('firefox-esr'), '--version').split('.')[0]}"
    gst = f"gstreamer-{debian('gstreamer1.0-plugins-bad')}"
    ffmpeg = f"ffmpeg-{said(program(), '-version')}"
    media = write_media(wav, wav.with_suffix(".json"))
    for browser, name in (("chromium", chromium), ("firefox", firefox)):
        for library in ("whip-whep", "@eyevinn/whip-web-client"):
            yield f"{name}-{slug(library)}-{npm(library)}", from_browser(browser, library)(WHIP, wav)
    yield f"{gst}-webrtcbin", gstreamer("gst_publisher.py", WHIP, str(wav), LIMIT_S)
    yield f"pyav-{av.__version__}-ffmpeg-{av.ffmpeg_version_info}", python("pyav_publisher", WHIP, str(wav))
    yield ffmpeg, ffmpeg_publish(WHIP, wav)
    yield f"{ffmpeg}-dtls-active", ffmpeg_publish(WHIP, wav, dtls_active=True)
    script = "libdatachannel_publisher.mjs"
    yield f"node-datachannel-{npm('node-datachannel')}", node(script, WHIP, str(media), LIMIT_S)
    yield f"aiortc-{version('aiortc')}", python("aiortc_publisher", WHIP, str(wav), LIMIT_S)
    if FORKY:
        dated = said("chroot", FORKY, "dpkg-query", "-W", "-f", "${Version}", "simple-whip-client")
        yield f"meetecho-simple-whip-client-{dated}", meetecho_publish(FORKY, WHIP, SENTENCE_S)


def slug(name: str) -> str:
    """A package's name as part of a file's."""
    return name.replace("@", "").replace("/", "-")


def record(space: Namespace, server: str, name: str, command: Sequence[str]) -> None:
    """Run one client inside, through the recorder."""
    recorder = python("offer_recorder", server, str(FOLDER), name, *command)
    subprocess.run(["env", "HOST_NAMES=1", *space.argv(*recorder)], check=True, timeout=150)


def main(*parts: str) -> None:
    with network_namespace() as space, tempfile.TemporaryDirectory(prefix="offers-") as folder, server_inside(space):
        wav = Path(folder) / "speech.wav"
        wav.write_bytes(sentence(longest_s=SENTENCE_S).wav)
        table = [(f"{name}-whep", command) for name, command in players()]
        table += [(f"{name}-whip", command) for name, command in publishers(wav)]
        for name, command in table:
            if not parts or any(part in name for part in parts):
                record(space, space.base, name, command)


if __name__ == "__main__":
    main(*sys.argv[1:])
