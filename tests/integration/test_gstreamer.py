"""GStreamer's webrtcbin, an independent WebRTC stack with RSA certificates and libnice, plays the stream."""

from pathlib import Path

import pytest

from tests.clients.namespace import Namespace

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

SCRIPT = Path(__file__).parents[1] / "clients" / "gst_viewer.py"
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that has GStreamer's bindings
WANTED = 100
"""Pictures and sound buffers: 4 s of picture."""


@pytest.mark.parametrize(("codec", "encoding"), [("h264", "H264"), ("vp8", "VP8")])
def test_webrtcbin_decodes_picture_and_sound(isolated: Namespace, codec: str, encoding: str):
    command = [DEBIAN_PYTHON, str(SCRIPT), f"{isolated.base}/whep/demo", codec, str(WANTED), "60"]
    report = isolated.run_json(command, 90)
    assert sorted(report["codecs"]) == sorted(["OPUS", encoding])
    assert report["decoded"]["video"] >= WANTED
    assert report["decoded"]["audio"] >= WANTED
    assert report["error"] is None
    assert report["deleted"] == 200
