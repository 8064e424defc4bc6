"""The benchmark of what avatars take: it loads those that ship, and holds them against the targets."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from typer.testing import CliRunner

from bench.avatar_sizes import AvatarSize, SizeFigures
from bench.avatar_sizes_report import as_text
from bench.commands import app
from tests.unit.test_bench_families import MACHINE

FILM = AvatarSize("me", "viseme", 1280, 720, 3 * 10**6, 10.0, True, 1.0, 346 * 10**6, 350 * 10**6)


def test_it_loads_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("AVATARS", str(tmp_path)), ("WIDTH", "512"), ("HEIGHT", "512")):
        monkeypatch.setenv(f"WHEP_AVATAR_{name}", value)
    done = CliRunner().invoke(app, ["avatars", "--json"])
    assert done.exit_code == 0, done.output
    avatars = json.loads(done.stdout)["avatars"]
    assert [(each["name"], each["fits"]) for each in avatars] == [("jonah", True), ("nova", True)]
    for each in avatars:
        pictures = each["seconds"] * 25 * 512 * 512 * 1.5
        assert pictures <= each["held_bytes"] < 1.2 * pictures and each["grown_bytes"] >= 0.9 * pictures


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"disk_bytes": 61 * 10**6}, False),
        ({"held_bytes": 401 * 10**6}, False),
        ({"grown_bytes": 401 * 10**6}, False),
        ({"seconds": 20.0, "disk_bytes": 110 * 10**6, "held_bytes": 790 * 10**6}, True),
    ],
)
def test_an_avatar_is_held_against_the_targets_by_its_length(change: dict[str, float], fits: bool):
    avatar = changed(FILM, **change)
    assert avatar.fits is fits
    text = as_text(SizeFigures(replace(MACHINE, load=0.5), [avatar]))
    assert (" yes |" in text) is fits and "there and back" in text and "load before the run 0.5" in text
