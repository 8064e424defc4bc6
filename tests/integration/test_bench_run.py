"""A short run of ``whep-avatar bench idle``: the real server, the one to compare with, and viewers that count."""

import json
import subprocess
import sys

import pytest

from tests.clients.server_process import CACHE, ROOT, environment

pytestmark = pytest.mark.timeout(600)


def test_idle_viewers_are_served_and_counted():
    options = ["--viewers", "1,3", "--seconds", "2", "--size", "512x512", "--baseline-viewers", "1", "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "whep_server", "bench", "idle", *options],
        cwd=ROOT,
        env=environment({"cache": str(CACHE / "idle")}),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    figures = json.loads(result.stdout)
    assert [window["viewers"] for window in figures["windows"]] == [0, 1, 3]
    watched = figures["windows"][1:]
    assert all(window["frames_s"] > 0 and window["packets_s"] > window["frames_s"] for window in watched)
    assert all(window["lost"] == 0 for window in watched)
    assert [(made["codec"], len(made["windows"])) for made in figures["baseline"]] == [("H264", 1), ("VP8", 1)]
    assert all(made["windows"][0]["frames_s"] > 0 for made in figures["baseline"])
