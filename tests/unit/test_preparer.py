"""Users' avatars on disk: deleted whole, links not followed, and what a crash left behind."""

import os
import queue
import threading
import time
from pathlib import Path

import pytest

from avatar import preparer
from avatar.avatar_memory import AvatarMemory
from avatar.messages import (
    AvatarDropped,
    AvatarRefusal,
    AvatarRefused,
    AvatarStep,
    CancelAvatar,
    DropAvatar,
    FromWorker,
    MuseTalkConfig,
    PrepareAvatar,
    WorkerConfig,
)
from avatar.prepare import Made, Order, Step
from avatar.preparer import LEFT_S, STEP_S, CannotPrepare, Preparer, Steps, Stop, run_preparation
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
    assert isinstance(desk.said.get(timeout=30), AvatarStep)
    said = desk.said.get(timeout=30)
    assert isinstance(said, AvatarRefused) and said.reason is reason and says in said.detail
    assert not list((tmp_path / "own").glob("*"))


ORDER = Order("/video.mp4", "/nowhere", "anna", "", [(512, 512)])


def asked(preparer: Preparer, job: str, root: Path) -> None:
    preparer.put(PrepareAvatar(job, f"a{job}", "", str(root / "none.mp4"), [(512, 512)]))


def test_what_waits_is_cancelled_at_once_and_never_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While another is at work, which ends when it likes."""
    begun, ends = threading.Event(), threading.Event()

    def at_work(order: Order, heard: object, *, stop: Stop) -> Made:
        begun.set()
        assert ends.wait(30)
        raise CannotPrepare(AvatarRefusal.VIDEO, f"{order.name}: enough")

    monkeypatch.setattr(preparer, "run_preparation", at_work)
    desk = Desk(tmp_path)
    for job in ("1", "2", "3"):
        asked(desk.preparer, job, tmp_path)
    assert begun.wait(30)
    for job in ("2", "2", "never"):
        desk.preparer.put(CancelAvatar(job))
    assert desk.said.get(timeout=30) == AvatarStep("1", "starting", 0.0)
    assert desk.said.get(timeout=30) == AvatarRefused("2", AvatarRefusal.CANCELLED, "it was cancelled")
    ends.set()
    said = [desk.said.get(timeout=30) for _ in range(3)]
    assert [(type(each), each.job) for each in said] == [(AvatarRefused, "1"), (AvatarStep, "3"), (AvatarRefused, "3")]
    desk.preparer.put(CancelAvatar("1"))
    assert isinstance(desk.drop("nobody"), AvatarRefused) and desk.said.empty(), "answered once, and no more"


def test_a_process_that_starts_too_late_is_killed(tmp_path: Path):
    stop = Stop()
    assert stop.begin()
    assert not stop.say(), "who has begun answers"
    with pytest.raises(CannotPrepare, match="cancelled") as refused:
        run_preparation(ORDER, lambda _: None, stop=stop)
    assert refused.value.reason is AvatarRefusal.CANCELLED


def test_progress_is_told_a_few_times_a_second_and_every_stage(monkeypatch: pytest.MonkeyPatch):
    now_s, said = 100.0, list[FromWorker]()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    steps = Steps("job", said.append)
    for number in range(100):
        now_s += STEP_S / 10
        steps.hear(Step("reading" if number < 90 else "writing", number / 100))
    assert len(said) <= 11 and said[-1] == AvatarStep("job", "writing", 0.9)
    assert [each.done for each in said] == sorted(each.done for each in said)
