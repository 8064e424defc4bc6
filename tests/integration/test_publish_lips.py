"""Lips against truth where encoders publish: FFmpeg and GStreamer speak a sentence over WHIP, a WHEP viewer's pictures
are measured as for an uploaded file.
"""

import json
import subprocess
import sys

import pytest

from tests.clients.namespace import Namespace
from tests.clients.server_process import ROOT, Server

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

SCRIPT = [sys.executable, "-m", "tests.clients.publish_lips"]
SECONDS = 150


def judge(reading: dict[str, float]) -> None:
    assert reading["correlation"] >= 0.8, reading
    assert reading["closed"] >= 0.85, reading
    assert abs(reading["offset_s"]) <= 0.040, reading


def test_lips_follow_what_ffmpeg_publishes(server: Server):
    command = [*SCRIPT, server.base, "ffmpeg", "espeak"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-4000:]
    judge(json.loads(result.stdout.splitlines()[-1]))


def test_lips_follow_what_gstreamer_publishes(isolated: Namespace):
    judge(isolated.run_json([*SCRIPT, isolated.base, "gstreamer", "flite"], SECONDS))
