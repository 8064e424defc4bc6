"""A player at the end of a link that delays, loses and reorders packets: it stays in sync, and losses are repaired."""

import sys

import pytest

from tests.clients.namespace import Namespace, distant
from tests.clients.speech_files import sentence

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

PICTURES = 150
PAUSE_S = 10
IN_SYNC_MS = 100
"""Chromium's estimate is of some milliseconds on a quiet machine; a track that is off stays so for good."""


def test_lost_late_and_reordered_packets_are_repaired_and_a_pause_is_made_up_for(isolated: Namespace, tmp_path):
    wav = tmp_path / "sentence.wav"
    wav.write_bytes(sentence().wav)
    script = ["-m", "tests.clients.distant_viewer", isolated.base, str(wav), str(PICTURES), str(PAUSE_S)]
    with distant(isolated, delay_ms=40, jitter_ms=10, loss=0.02, reorder=0.01, doubled=0.01) as host:
        report = host.run_json([sys.executable, *script], 200)
    video = report["video"]
    assert report["errors"] == []
    assert video["nackCount"] > 0
    assert video["retransmittedPacketsReceived"] > 0
    assert video["framesDropped"] <= 0.05 * video["framesReceived"]
    assert abs(report["offset_ms"]) < IN_SYNC_MS
    assert abs(report["offset_after_ms"]) < IN_SYNC_MS
