"""An original's avatar in our own form: the same pictures, faces and masks, each once; nothing half-made is left."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from avatar.engines.musetalk.original_avatar import load_original
from avatar.folders import listed
from avatar.prepared import AvatarInvalid, find_avatar, load_prepared, read_manifest
from tests.musetalk_avatars import PICTURES, SIZE, write_original
from tests.musetalk_models import write_models
from whep_server.__main__ import app


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_original(tmp_path_factory.mktemp("results") / "anna")


@pytest.fixture
def avatars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where they are to go."""
    monkeypatch.setenv("WHEP_AVATAR_AVATARS", str(tmp_path / "avatars"))
    return tmp_path / "avatars"


def adopted(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["adopt", *map(str, arguments)])
    return done.exit_code, done.output


def test_it_shows_what_it_showed(original: Path, avatars: Path):
    status, said = adopted(original, "--name", "Anna.2", "--size", "320x180", "--title", "Anna")
    assert status == 0, said
    directory = find_avatar(avatars, "Anna.2")
    (info,) = listed(avatars, SIZE, shipped=False)
    assert (info.title, info.engine, info.sizes) == ("Anna", "musetalk", [(320, 180), SIZE])
    for size in info.sizes:
        ours, theirs = load_prepared(directory, size), load_original(original, size)
        assert len(ours.pictures) == PICTURES and ours.there_and_back and ours.loop_length == theirs.loop_length
        assert np.abs(ours.pictures.astype(int) - theirs.pictures).mean() < 1.5
        assert np.array_equal(ours.state.latents, theirs.state.latents)  # type: ignore[attr-defined]
        for one, other in zip(ours.state.mouths, theirs.state.mouths, strict=True):  # type: ignore[attr-defined]
            assert one.box == other.box and np.array_equal(one.alpha, other.alpha)
            assert np.allclose(one.to_face, other.to_face)
    assert {"loop.mp4", "poster-320x180.jpg"} <= {path.name for path in directory.iterdir()}


def test_latents_are_made_anew_where_it_is_asked_for(
    original: Path, avatars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert "MUSETALK_MODELS" in adopted(original, "--name", "a", "--latents")[1]
    monkeypatch.setenv("WHEP_AVATAR_MUSETALK_MODELS", str(write_models(tmp_path / "models")))
    status, said = adopted(original, "--name", "a", "--latents", "--size", "240x320")
    assert status == 0, said
    made = load_prepared(avatars / "a", SIZE).state.latents  # type: ignore[attr-defined]
    assert not np.array_equal(made, load_original(original, SIZE).state.latents)  # type: ignore[attr-defined]
    assert np.isfinite(made).all() and not np.array_equal(made[:, :4], made[:, 4:])


def test_what_is_there_stays_unless_it_is_to_be_replaced(original: Path, avatars: Path):
    assert adopted(original, "--name", "a", "--size", "240x320")[0] == 0
    before = (avatars / "a" / "avatar.json").stat().st_ino
    status, said = adopted(original, "--name", "a")
    assert status == 1 and "--replace" in said
    assert (avatars / "a" / "avatar.json").stat().st_ino == before
    assert adopted(original, "--name", "a", "--size", "240x320", "--replace")[0] == 0
    assert (avatars / "a" / "avatar.json").stat().st_ino != before


def test_what_cannot_be_used_is_refused_and_leaves_nothing(original: Path, avatars: Path, tmp_path: Path):
    broken = write_original(tmp_path / "broken")
    (broken / "mask" / "00000004.png").write_bytes(b"")
    for arguments, reason in {
        (broken, "--name", "b"): "mask/00000004.png is no mask",
        (tmp_path, "--name", "b"): "avator_info.json",
        (original, "--name", "../b"): "no avatar's name",
        (original, "--name", "nova"): "shipped with the program",
    }.items():
        status, said = adopted(*arguments)
        assert status == 1 and reason in " ".join(said.split())
    assert not avatars.exists() or not list(avatars.iterdir())


@pytest.mark.parametrize("name", ["latents.npy", "faces.npz", "masks.npz"])
def test_a_damaged_one_is_refused_with_the_file(original: Path, avatars: Path, name: str):
    assert adopted(original, "--name", "a", "--size", "240x320")[0] == 0
    for content in (b"", b"PK\x03\x04", (avatars / "a" / name).read_bytes()[:-300]):
        (avatars / "a" / name).write_bytes(content)
        with pytest.raises(AvatarInvalid):
            load_prepared(avatars / "a", SIZE)
    assert read_manifest(avatars / "a").files == ["faces.npz", "latents.npy", "masks.npz"]
