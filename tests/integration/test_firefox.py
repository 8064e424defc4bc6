"""Firefox plays the stream in VP8: Debian's has no H.264 at all, and so has no fresh Firefox elsewhere."""

import sys

import pytest

from tests.clients.namespace import Namespace
from tests.clients.player_page import PLAY

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

WANTED = 100
"""Pictures: 4 s."""


def test_firefox_plays_after_one_click(isolated: Namespace):
    script = [sys.executable, "-m", "tests.clients.firefox_viewer"]
    report = isolated.run_json([*script, f"{isolated.base}/player/demo", PLAY, str(WANTED), "60"], 90)
    assert report["errors"] == []
    assert report["state"] == "connected"
    assert report["video"]["mimeType"] == "video/VP8"
    assert report["video"]["framesDecoded"] >= WANTED
    assert report["video"]["packetsLost"] == 0
    assert report["audio"]["mimeType"] == "audio/opus"
    assert report["audio"]["packetsReceived"] >= WANTED
