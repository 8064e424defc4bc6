"""Jobs of making avatars, by what the worker says of them, and says not."""

import asyncio

import pytest

from avatar.client import WorkerGone
from avatar.messages import (
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    AvatarStep,
    CancelAvatar,
    PrepareAvatar,
    Quality,
    ToWorker,
)
from whep_server.errors import BeingEnded, Conflict, NotAvatarVideo, Unavailable, WorkerLost
from whep_server.live import preparations
from whep_server.live.preparations import Making, Preparation, Preparations
from whep_server.metrics.ledger import Ledger

QUALITY = Quality(300, 0.4, 120.0, 0.0, "there and back", 0.0, 0.02, [])


class Silent:
    """A worker that hears and says nothing."""

    def __init__(self) -> None:
        self.heard: list[ToWorker] = []
        self.gone = False

    def send(self, message: ToWorker) -> None:
        if self.gone:
            raise WorkerGone("lost")
        self.heard.append(message)


class Desk:
    """All jobs, and the worker that is to do them."""

    def __init__(self) -> None:
        self.worker, self.ledger = Silent(), Ledger()
        self.jobs = Preparations(4, self.ledger)
        self.jobs.worker = self.worker  # type: ignore[assignment]

    def begin(self, job: str = "1") -> Preparation:
        return self.jobs.begin(PrepareAvatar(job, f"a{job}", "", "/video.mp4", [(512, 512)]))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(preparations, "CANCEL_S", 0.05)
    return Desk()


async def test_a_job_goes_on_as_the_worker_says_and_never_back(desk: Desk):
    job = desk.begin()
    assert (job.state, job.started_at, job.done) == (Making.QUEUED, None, 0.0)
    assert desk.jobs.counts() == {"queued": 1} and desk.jobs.is_making("a1")
    for done in (0.1, 0.5, 0.4, 7.0):
        desk.jobs.heard(AvatarStep("1", "reading", done))
        assert job.state is Making.PREPARING and job.started_at is not None
    assert (job.stage, job.done, desk.jobs.counts()) == ("reading", 1.0, {"preparing": 1})
    desk.jobs.heard(AvatarPrepared("1", [], ["cut"], QUALITY))
    assert (job.state, job.notes, job.quality, job.fault) == (Making.READY, ["cut"], QUALITY, None)
    assert desk.jobs.unfinished == [] and not desk.jobs.is_making("a1")
    assert desk.ledger.preparations == {"ready": 1} and sum(desk.ledger.preparing.counts) == 1
    for late in (AvatarStep("1", "more", 0.2), AvatarRefused("1", AvatarRefusal.VIDEO, "no"), AvatarStep("9", "?", 0)):
        desk.jobs.heard(late)
    assert job.state is Making.READY and job.stage == "ready"
    await desk.jobs.made(job)


async def test_where_it_ended_stays_to_be_seen(desk: Desk):
    job = desk.begin()
    desk.jobs.heard(AvatarStep("1", "looking for the face", 0.4))
    desk.jobs.heard(AvatarRefused("1", AvatarRefusal.VIDEO, "no face"))
    assert (job.state, job.stage, job.done) == (Making.FAILED, "looking for the face", 0.4)
    with pytest.raises(NotAvatarVideo, match="no face"):
        await desk.jobs.made(job)


async def test_all_jobs_end_with_the_worker(desk: Desk):
    first, second = desk.begin("1"), desk.begin("2")
    desk.jobs.heard(AvatarStep("1", "reading", 0.1))
    desk.jobs.worker_lost("killed by SIGKILL")
    for job in (first, second):
        assert job.state is Making.FAILED
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await desk.jobs.made(job)
    desk.worker.gone = True
    with pytest.raises(Unavailable):
        desk.begin("3")
    assert len(desk.jobs.all()) == 2


async def test_a_worker_that_does_not_let_go_is_not_waited_for_long(desk: Desk):
    job = desk.begin()
    with pytest.raises(Unavailable, match="let go"):
        await desk.jobs.cancel("1")
    assert desk.worker.heard[-1] == CancelAvatar("1") and job.state is Making.QUEUED
    desk.jobs.heard(AvatarRefused("1", AvatarRefusal.CANCELLED, "it was cancelled"))
    assert job.state is Making.CANCELLED
    with pytest.raises(Conflict, match="cancelled already"):
        await desk.jobs.cancel("1")


async def test_what_is_made_before_it_can_be_cancelled_is_made(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preparations, "CANCEL_S", 20)
    desk.begin()
    async with asyncio.TaskGroup() as group:
        cancelling = group.create_task(refusal_to_cancel(desk))
        while CancelAvatar("1") not in desk.worker.heard:  # noqa: ASYNC110  a turn of the loop or two
            await asyncio.sleep(0)
        desk.jobs.heard(AvatarPrepared("1", [], [], QUALITY))
    assert "ready" in cancelling.result()


async def refusal_to_cancel(desk: Desk) -> str:
    with pytest.raises(Conflict) as refused:
        await desk.jobs.cancel("1")
    return refused.value.detail


async def test_the_end_waits_for_no_worker_that_is_silent(desk: Desk):
    first, second = desk.begin("1"), desk.begin("2")
    await desk.jobs.end()
    assert [CancelAvatar("1"), CancelAvatar("2")] == desk.worker.heard[-2:]
    for job in (first, second):
        assert job.state is Making.CANCELLED
        with pytest.raises(BeingEnded):
            await desk.jobs.made(job)
    assert desk.ledger.preparations == {"cancelled": 2} and sum(desk.ledger.preparing.counts) == 0
