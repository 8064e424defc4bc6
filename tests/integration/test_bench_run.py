"""Short runs of ``whep-avatar bench``: the real server, what it is compared with, and receivers that look at it all."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.clients.server_process import CACHE, ROOT, environment
from whep_server.live.capacity import most_speaking
from whep_server.settings import Settings

pytestmark = pytest.mark.timeout(600)
CUTS = 3


def run(*arguments: str, **settings: str) -> dict:
    result = subprocess.run(
        [sys.executable, "-m", "whep_server", "bench", *arguments, "--json"],
        cwd=ROOT,
        env=environment({"cache": str(CACHE / "idle"), **settings}),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout)


def test_idle_viewers_are_served_and_counted():
    figures = run("idle", "--viewers", "1,3", "--seconds", "1", "--size", "512x512", "--baseline-viewers", "1")
    assert [window["viewers"] for window in figures["windows"]] == [0, 1, 3]
    watched = figures["windows"][1:]
    assert all(window["frames_s"] > 0 and window["packets_s"] > window["frames_s"] for window in watched)
    assert all(window["lost"] == 0 for window in watched)
    assert [(made["codec"], len(made["windows"])) for made in figures["baseline"]] == [("H264", 1), ("VP8", 1)]
    assert all(made["windows"][0]["frames_s"] > 0 for made in figures["baseline"])


def test_an_utterance_that_is_cut_off_is_heard_to_end_and_nothing_of_it_follows():
    figures = run("interrupt", "--cuts", f"{CUTS}", "--streams", "1")
    assert [(row["way"], row["cuts"]) for row in figures["rows"]] == [
        ("PCM at once, POST", 1),
        ("PCM in real time, cancel", 1),
        ("a file, POST", 1),
        ("all", CUTS),
    ]
    assert figures["rows"][-1]["stale"] == 0
    assert all(row["silent"]["median"] > 0 and row["closed"]["median"] > 0 for row in figures["rows"])


async def test_what_a_machine_carries_is_measured_and_then_held_to(tmp_path):
    cache = tmp_path / "cache"
    (CACHE / "idle").mkdir(parents=True, exist_ok=True)
    shutil.copytree(CACHE / "idle", cache, copy_function=os.link)  # idle loops that are made already
    settings = Settings(cache=cache, width=512, height=512, max_speaking=0)
    shape = {"cache": str(cache), "width": "512", "height": "512", "publish_token": "the operator's"}
    figures = run("capacity", "--start", "1", "--most", "1", "--seconds", "1", **shape)
    assert [row["streams"] for row in figures["rows"]] == [1]
    assert figures["capacity"]["measured"] == figures["capacity"]["max_speaking"] == 1
    assert await most_speaking(settings) == {"viseme": 1, "musetalk": 0}
