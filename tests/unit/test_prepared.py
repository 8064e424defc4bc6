import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avatar.engines.viseme.warp_state import WarpState, save_warp_state
from avatar.library import DiskLibrary
from avatar.messages import WorkerConfig
from avatar.prepared import AvatarInvalid, find_avatar, load_prepared, read_manifest

AVATARS = Path(__file__).resolve().parents[2] / "assets" / "avatars"
NOVA = AVATARS / "nova"
SMALL = (512, 512)


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(NOVA, tmp_path / "nova"))


def edit(directory, **changes):
    path = directory / "avatar.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("size", [(1280, 720), (512, 512), (720, 1280)])
def test_every_size_loads(size):
    avatar = load_prepared(NOVA, size)
    assert (avatar.name, avatar.engine, avatar.fps) == ("nova", "viseme", 25)
    assert avatar.pictures.shape == (200, size[1] * 3 // 2, size[0])
    assert not avatar.pictures.flags.writeable
    assert avatar.picture_at(201, 25) == 1
    assert avatar.picture_at(15, 12) == 31


def test_wrap_of_the_loop_is_no_larger_a_step_than_its_neighbours():
    pictures = load_prepared(NOVA, SMALL).pictures[:, :512].astype(np.int16)
    steps = [np.abs(pictures[(k + 1) % 200] - pictures[k]).mean() for k in range(200)]
    assert steps[-1] <= np.percentile(steps[:-1], 90)


def test_whole_directory_is_small_and_the_offline_loops_are_smaller():
    assert sum(path.stat().st_size for path in NOVA.iterdir()) <= 8_000_000
    for name in ("loop.mp4", "loop.webm"):
        assert 20_000 < (NOVA / name).stat().st_size <= 600_000


def test_sizes_differ_in_digest_and_equal_files_agree(copy):
    first = load_prepared(NOVA, SMALL)
    assert load_prepared(copy, SMALL).digest == first.digest
    assert load_prepared(NOVA, (1280, 720)).digest != first.digest
    edit(copy, title="Nova two")
    assert load_prepared(copy, SMALL).digest != first.digest


def test_size_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AvatarInvalid, match="512x512"):
        load_prepared(NOVA, (640, 480))


@pytest.mark.parametrize("name", ["avatar.json", "poses.npy", "idle-512x512.mp4"])
def test_missing_file_is_invalid(copy, name):
    (copy / name).unlink()
    with pytest.raises(AvatarInvalid):
        load_prepared(copy, SMALL)


@pytest.mark.parametrize("name", ["avatar.json", "poses.npy", "idle-512x512.mp4"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 400, b"not what it was"])
def test_damaged_file_is_invalid(copy, name, damage):
    (copy / name).write_bytes(damage)
    with pytest.raises(AvatarInvalid):
        load_prepared(copy, SMALL)


def test_truncated_film_is_invalid(copy):
    film = copy / "idle-512x512.mp4"
    content = film.read_bytes()
    for share in (0.3, 0.9):
        film.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(AvatarInvalid):
            load_prepared(copy, SMALL)


def test_film_of_another_size_is_invalid(copy):
    shutil.copy(copy / "idle-720x1280.mp4", copy / "idle-512x512.mp4")
    with pytest.raises(AvatarInvalid, match="720x1280"):
        load_prepared(copy, SMALL)


def test_poses_of_another_length_are_invalid(copy):
    np.save(copy / "poses.npy", np.load(copy / "poses.npy")[:-1])
    with pytest.raises(AvatarInvalid, match="poses"):
        load_prepared(copy, SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"engine": "other"},
        {"painter": "other"},
        {"painter": "warp"},
        {"palette": "mauve"},
        {"pictures": 0},
        {"pictures": 10**9},
        {"fps": 0},
        {"files": ["../x"]},
        {"pictures": 199},
    ],
)
def test_manifest_that_cannot_be_is_invalid(copy, change):
    edit(copy, **change)
    with pytest.raises(AvatarInvalid):
        load_prepared(copy, SMALL)


def test_name_finds_a_directory():
    assert find_avatar(AVATARS, "nova") == NOVA
    assert read_manifest(NOVA).title == "Nova"


def test_a_film_that_turns_is_shown_forward_and_backward():
    avatar = dataclasses.replace(load_prepared(NOVA, SMALL), there_and_back=True)
    avatar = dataclasses.replace(avatar, pictures=avatar.pictures[:3])
    assert avatar.loop_length == 6
    assert [avatar.picture_at(frame, 25) for frame in range(8)] == [0, 1, 2, 2, 1, 0, 0, 1]


@pytest.mark.parametrize("name", ["avatar_5a584c8b-512f", "A.b-C_9", "_", "-x", "x" * 128])
def test_names_are_those_of_the_original_server(tmp_path, name):
    shutil.copytree(NOVA, tmp_path / name)
    assert find_avatar(tmp_path, name) == tmp_path / name


def test_the_user_s_avatars_are_beside_those_that_are_shipped_and_hide_none(tmp_path):
    edit(shutil.copytree(NOVA, tmp_path / "nova"), title="Impostor")
    edit(shutil.copytree(NOVA, tmp_path / "Anna"), title="Anna")
    edit(shutil.copytree(NOVA, tmp_path / ".new-x"), title="Half made")
    edit(shutil.copytree(NOVA, tmp_path / "broken"), fps=0)
    library = DiskLibrary(WorkerConfig("", str(AVATARS), "", prepared=str(tmp_path)))
    assert [(info.name, info.title, info.shipped) for info in library.avatars()] == [
        ("jonah", "Jonah", True),
        ("nova", "Nova", True),
        ("Anna", "Anna", False),
    ]
    assert library.load("nova", SMALL).title == "Nova"
    assert library.load("Anna", SMALL).title == "Anna"
    for name in (".new-x", "nobody"):
        with pytest.raises(AvatarInvalid):
            library.load(name, SMALL)
    assert len(DiskLibrary(WorkerConfig("", str(AVATARS), "")).avatars()) == 2


@pytest.fixture(scope="module")
def warped(tmp_path_factory):
    """Nova, as if her mouth were to be moved and not drawn."""
    directory = Path(shutil.copytree(NOVA, tmp_path_factory.mktemp("warped") / "warped"))
    save_warp_state(directory, np.load(NOVA / "poses.npy") @ np.diag([50.0, 50.0, 1.0]), 0.1)
    edit(directory, painter="warp", files=["poses.npy", "lips.json"])
    return directory


def test_a_painter_has_its_own_state_and_digest(warped):
    avatar = load_prepared(warped, SMALL)
    assert isinstance(avatar.state, WarpState) and avatar.state.bow == 0.1
    assert avatar.digest != load_prepared(NOVA, SMALL).digest


@pytest.mark.parametrize("content", [b"", b"{}", b'{"bow":"x"}', b'{"bow":9}', b'{"bow":0,"other":1}'])
def test_damaged_lips_are_invalid(warped, content):
    whole = (warped / "lips.json").read_bytes()
    (warped / "lips.json").write_bytes(content)
    try:
        with pytest.raises(AvatarInvalid, match=r"lips|bow|JSON|truncated|Expected|Object"):
            load_prepared(warped, SMALL)
    finally:
        (warped / "lips.json").write_bytes(whole)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".new-1", "../nova", "nova/", "/etc", "Nova", "no\0va", "a" * 129, "nobody"]
)
def test_name_that_is_no_name_finds_nothing(name):
    with pytest.raises(AvatarInvalid):
        find_avatar(AVATARS, name)


def test_loading_needs_neither_torch_nor_thorvg():
    code = (
        "import sys, avatar.prepared; sys.exit(any(m.split('.')[0] in ('torch', 'thorvg_python') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=AVATARS.parents[1])
