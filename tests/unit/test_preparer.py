"""Users' avatars on disk: deleted whole, links not followed, and what a crash left behind."""

import os
import queue
import time
from pathlib import Path

import pytest

from avatar.avatar_memory import AvatarMemory
from avatar.messages import (
    AvatarDropped,
    AvatarRefusal,
    AvatarRefused,
    DropAvatar,
    FromWorker,
    MuseTalkConfig,
    PrepareAvatar,
    WorkerConfig,
)
from avatar.preparer import LEFT_S, Preparer
from tests.fake_engine import FakeLibrary


class Desk:
    """A preparer over a directory, and what it says."""

    def __init__(self, root: Path) -> None:
        models = MuseTalkConfig(models=str(root / "models"))
        config = WorkerConfig("", str(root / "shipped"), "", prepared=str(root / "own"), musetalk=models)
        library = FakeLibrary(config)
        self.said: queue.SimpleQueue[FromWorker] = queue.SimpleQueue()
        self.preparer = Preparer(config, library, AvatarMemory(library), self.said.put)

    def drop(self, name: str) -> FromWorker:
        self.preparer.put(DropAvatar("job", name, from_disk=True))
        return self.said.get(timeout=30)


def own(root: Path, name: str) -> Path:
    directory = root / "own" / name
    directory.mkdir(parents=True)
    (directory / "avatar.json").write_text("{}")
    return directory


def test_deleting_takes_the_directory_and_nothing_else(tmp_path: Path):
    gone, stays = own(tmp_path, "gone"), own(tmp_path, "stays")
    desk = Desk(tmp_path)
    assert isinstance(desk.drop("gone"), AvatarDropped)
    assert [path.name for path in gone.parent.iterdir()] == ["stays"] and stays.is_dir()
    assert isinstance(desk.drop("gone"), AvatarRefused)


def test_of_a_link_only_the_link_is_deleted(tmp_path: Path):
    elsewhere = own(tmp_path / "disk", "target")
    link = tmp_path / "own" / "linked"
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    assert isinstance(Desk(tmp_path).drop("linked"), AvatarDropped)
    assert (elsewhere / "avatar.json").is_file() and list(link.parent.iterdir()) == []


@pytest.mark.parametrize("kind", [".new-", ".old-"])
def test_what_a_crash_left_is_deleted_and_what_is_being_made_is_not(tmp_path: Path, kind: str):
    left, fresh = own(tmp_path, f"{kind}left"), own(tmp_path, f"{kind}fresh")
    long_ago = time.time() - LEFT_S - 60
    os.utime(left, (long_ago, long_ago))
    desk = Desk(tmp_path)
    assert isinstance(desk.drop("nobody"), AvatarRefused), "the sweep goes before it"
    assert not left.exists() and fresh.exists()


@pytest.mark.parametrize(
    ("engine", "reason", "says"),
    [("musetalk", AvatarRefusal.TROUBLE, "models is no folder"), ("other", AvatarRefusal.VIDEO, "no engine 'other'")],
)
def test_an_engine_that_is_not_there_is_refused_before_anything_is_done(
    tmp_path: Path, engine: str, reason: AvatarRefusal, says: str
):
    desk = Desk(tmp_path)
    desk.preparer.put(PrepareAvatar("job", "anna", "", str(tmp_path / "gone.mp4"), [(512, 512)], engine))
    said = desk.said.get(timeout=30)
    assert isinstance(said, AvatarRefused) and said.reason is reason and says in said.detail
    assert not list((tmp_path / "own").glob("*"))
