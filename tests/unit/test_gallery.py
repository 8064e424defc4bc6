import asyncio
from pathlib import Path

import pytest

from avatar.client import WorkerGone
from avatar.messages import (
    AvatarDropped,
    AvatarInfo,
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    DropAvatar,
    PrepareAvatar,
    Quality,
)
from whep_server.errors import AvatarKept, BadRequest, NoSuchAvatar, NotAvatarVideo, TooMany, Unavailable, WorkerLost
from whep_server.live.gallery import Gallery
from whep_server.live.preparations import WantedAvatar
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

NOVA = AvatarInfo("nova", "Nova", "viseme", [(1280, 720)])
ANNA = AvatarInfo("anna", "Anna", "viseme", [(1280, 720), (512, 512)], shipped=False)
VIDEO = Path("/video.mp4")
QUALITY = Quality(300, 0.4, 120.0, 0.0, "there and back", 0.0, 0.02, [])


class Worker:
    """Takes orders and says nothing."""

    def __init__(self) -> None:
        self.orders: list[PrepareAvatar | DropAvatar] = []
        self.gone = False

    def send(self, order: PrepareAvatar | DropAvatar) -> None:
        if self.gone:
            raise WorkerGone("starting")
        self.orders.append(order)


class Desk:
    """A gallery with its worker."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.on_air: set[str] = set()
        self.ledger = Ledger()
        self.gallery = Gallery(Settings(), self.ledger, lambda name: name in self.on_air)
        self.gallery.open(self.worker)  # type: ignore[arg-type]
        self.gallery.avatars = [NOVA]

    async def prepare(self, name: str, *, replace: bool = False) -> AvatarInfo:
        preparation = self.gallery.begin(WantedAvatar(name, VIDEO, replace=replace))
        if preparation is not None:
            await self.gallery.preparations.made(preparation)
        return self.gallery.find(name)

    async def delete(self, name: str, *, from_disk: bool = True):
        return await self.gallery.delete(name, from_disk=from_disk)

    async def ordered(self, count: int = 1) -> PrepareAvatar | DropAvatar:
        while len(self.worker.orders) < count:  # noqa: ASYNC110  a turn of the loop or two
            await asyncio.sleep(0)
        return self.worker.orders[-1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_avatar_is_ordered_in_the_server_s_size_and_a_small_one(desk: Desk):
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(desk.prepare("anna"))
        order = await desk.ordered()
        assert isinstance(order, PrepareAvatar)
        assert (order.avatar, order.video, order.sizes) == ("anna", str(VIDEO), [(1280, 720), (512, 512)])
        desk.gallery.heard(AvatarPrepared(order.job, [NOVA, ANNA], ["cut"], QUALITY))
    assert asked.result() == ANNA
    assert await desk.prepare("anna") == ANNA
    assert len(desk.worker.orders) == 1
    assert desk.gallery.film("anna") == Settings().avatars / "anna" / "loop.mp4"
    assert desk.gallery.film("nova") == Settings().assets / "avatars" / "nova" / "loop.mp4"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (AvatarRefusal.VIDEO, NotAvatarVideo),
        (AvatarRefusal.KEPT, AvatarKept),
        (AvatarRefusal.UNKNOWN, NoSuchAvatar),
        (AvatarRefusal.TROUBLE, Unavailable),
    ],
)
async def test_each_refusal_has_its_error(desk: Desk, reason: AvatarRefusal, error: type[Exception]):
    async def asked() -> None:
        with pytest.raises(error, match="because"):
            await desk.prepare("anna")

    async with asyncio.TaskGroup() as group:
        group.create_task(asked())
        desk.gallery.heard(AvatarRefused((await desk.ordered()).job, reason, "because"))
    assert desk.gallery.avatars == [NOVA]


async def test_one_that_is_being_made_is_not_ordered_shown_or_deleted_meanwhile(desk: Desk):
    desk.gallery.avatars = [NOVA, ANNA]
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.prepare("anna", replace=True))
        order = await desk.ordered()
        for again in (desk.prepare("anna"), desk.prepare("anna", replace=True), desk.delete("anna")):
            with pytest.raises(AvatarKept, match="being made"):
                await again
        with pytest.raises(Unavailable, match="anew"):
            desk.gallery.find("anna")
        desk.gallery.heard(AvatarPrepared(order.job, [NOVA, ANNA], [], QUALITY))
    assert desk.gallery.find("anna") == ANNA


async def test_no_avatar_is_called_as_a_page_below_avatars_is(desk: Desk):
    with pytest.raises(BadRequest, match="preparations"):
        await desk.prepare("preparations")


async def test_an_order_outlives_whoever_gave_it(desk: Desk):
    """A client that hangs up does not free the name: the worker is still at it."""
    asked = asyncio.ensure_future(desk.prepare("anna"))
    order = await desk.ordered()
    asked.cancel()
    await asyncio.wait([asked])
    with pytest.raises(AvatarKept):
        await desk.prepare("anna")
    desk.gallery.heard(AvatarPrepared(order.job, [NOVA, ANNA], [], QUALITY))
    assert await desk.prepare("anna") == ANNA


async def test_only_so_many_are_made_at_once(desk: Desk):
    async def lost(name: str) -> None:
        with pytest.raises(WorkerLost):
            await desk.prepare(name)

    async with asyncio.TaskGroup() as group:
        for number in range(Settings().max_preparations):
            group.create_task(lost(f"a{number}"))
        await desk.ordered(Settings().max_preparations)
        with pytest.raises(TooMany):
            await desk.prepare("one-more")
        desk.gallery.worker_lost("a test")
    assert not desk.gallery.preparations.unfinished


async def test_deleting_says_what_was_done(desk: Desk):
    desk.gallery.avatars = [NOVA, ANNA]
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(desk.delete("anna"))
        order = await desk.ordered()
        assert isinstance(order, DropAvatar) and order.from_disk
        desk.gallery.heard(AvatarDropped(order.job, True, "/avatars/anna", [NOVA]))
    assert (asked.result().evicted, asked.result().path) == (True, Path("/avatars/anna"))
    assert desk.gallery.avatars == [NOVA]


async def test_without_a_worker_nothing_is_promised(desk: Desk):
    desk.worker.gone = True
    for call in (desk.prepare("anna"), desk.delete("anna", from_disk=False)):
        with pytest.raises(Unavailable, match="started"):
            await call
    desk.gallery.avatars = []
    with pytest.raises(Unavailable, match="loaded"):
        await desk.prepare("anna")


async def test_forgetting_what_is_on_air_harms_nobody(desk: Desk):
    desk.on_air.add("nova")
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(desk.delete("nova", from_disk=False))
        desk.gallery.heard(AvatarDropped((await desk.ordered()).job, True, "", [NOVA]))
    assert asked.result().path is None
