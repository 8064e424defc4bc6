"""What a session's listeners are told: each gets one request, whole, and nobody gets it twice."""

import asyncio

import pytest

from whep_server.compat.announcements import KEPT, Account, Announcements, Listener, error_message

END = {"event": "complete", "total_chunks": 2}


def chunk(index: int) -> dict[str, object]:
    return {"event": "chunk", "index": index}


def spoken(told: Announcements, name: str, begun_s: float = 0.0) -> Account:
    """A request that is over, of two chunks."""
    account = told.begin(name, begun_s)
    account.tell(chunk(0))
    account.tell(chunk(1))
    account.end(END)
    return account


async def ids(listener: Listener) -> list[str]:
    """The events' ids, up to the listener's end."""
    async with asyncio.timeout(5):
        return [event.decode().partition("\n")[0].removeprefix("id: ") async for event in listener]


async def waiting(listener: Listener) -> bool:
    """Whether there is nothing yet for a listener, which is used up by this."""
    try:
        async with asyncio.timeout(0):
            await anext(listener)
    except TimeoutError:
        return True
    return False


async def test_the_bytes_on_the_wire():
    told = Announcements()
    spoken(told, "nova_req_00000001")
    assert [event async for event in told.listen()] == [
        b'id: nova_req_00000001:0\ndata: {"event":"chunk","index":0}\n\n',
        b'id: nova_req_00000001:1\ndata: {"event":"chunk","index":1}\n\n',
        b'id: nova_req_00000001:2\ndata: {"event":"complete","total_chunks":2}\n\n',
    ]


async def test_listeners_hear_all_of_what_is_going_on_whenever_they_came():
    told = Announcements()
    early = told.listen()
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(ids(early))]
        await asyncio.sleep(0)
        account = told.begin("a", 0)
        account.tell(chunk(0))
        hearing.append(group.create_task(ids(told.listen())))
        await asyncio.sleep(0)
        account.tell(chunk(1))
        account.end(END)
        hearing.append(group.create_task(ids(told.listen())))
    assert [task.result() for task in hearing] == [["a:0", "a:1", "a:2"]] * 3


async def test_all_that_wait_hear_what_is_over_before_any_of_them_ran():
    told = Announcements()
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(ids(told.listen())) for _ in range(2)]
        await asyncio.sleep(0)
        spoken(told, "a")
    assert [task.result() for task in hearing] == [["a:0", "a:1", "a:2"]] * 2


async def test_what_nobody_heard_waits_and_is_heard_once():
    told = Announcements()
    for name in "ab":
        spoken(told, name)
    assert await ids(told.listen()) == ["a:0", "a:1", "a:2"]
    assert await ids(told.listen()) == ["b:0", "b:1", "b:2"]
    assert await waiting(told.listen())


async def test_who_went_before_the_end_has_not_heard_it():
    told = Announcements()
    spoken(told, "a")
    gone = told.listen()
    for _ in range(3):
        await anext(gone)  # the last is given out, but not known to have been sent
    assert await ids(told.listen()) == ["a:0", "a:1", "a:2"]


@pytest.mark.parametrize(
    ("last", "rest"),
    [
        ("b:0", ["b:1", "b:2"]),
        ("b:1", ["b:2"]),
        ("b:2", ["c:0", "c:1", "c:2"]),
        ("b:999", ["c:0", "c:1", "c:2"]),
        ("a:2", ["b:0", "b:1", "b:2"]),
        ("z:0", ["c:0", "c:1", "c:2"]),
        ("b", ["c:0", "c:1", "c:2"]),
        ("b:-1", ["c:0", "c:1", "c:2"]),
        ("", ["c:0", "c:1", "c:2"]),
        ("b:" + "9" * 400, ["c:0", "c:1", "c:2"]),
    ],
)
async def test_who_comes_back_gets_what_it_missed(last, rest):
    """Others have heard a and b to their end; c nobody has."""
    told = Announcements()
    for name in "abc":
        spoken(told, name)
    for _ in range(2):
        await ids(told.listen())
    assert await ids(told.listen(last)) == rest


async def test_who_comes_back_in_the_middle_hears_the_rest_as_it_comes():
    told = Announcements()
    account = told.begin("a", 0)
    account.tell(chunk(0))
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(ids(told.listen("a:0")))
        await asyncio.sleep(0)
        account.tell(chunk(1))
        account.end(END)
    assert hearing.result() == ["a:1", "a:2"]


async def test_who_heard_the_newest_end_waits():
    told = Announcements()
    spoken(told, "a")
    assert await waiting(told.listen("a:2"))


async def test_the_oldest_is_forgotten_first():
    told = Announcements()
    for number in range(KEPT + 2):
        spoken(told, f"r{number}")
    assert (await ids(told.listen()))[0] == "r2:0"
    assert (await ids(told.listen("r0:0")))[0] == "r3:0", "no longer known: as one who says nothing"


async def test_what_is_long_ago_is_not_told_but_what_goes_on_is():
    told = Announcements()
    slow = told.begin("slow", 0.0)
    spoken(told, "old", 1.0)
    spoken(told, "new", 9.0)
    told.forget(5.0)
    slow.end(END)
    assert await ids(told.listen()) == ["slow:0"]
    assert await ids(told.listen()) == ["new:0", "new:1", "new:2"]


async def test_a_session_that_ends_sends_its_listeners_away():
    told = Announcements()
    async with asyncio.TaskGroup() as group:
        idle = group.create_task(ids(told.listen()))
        await asyncio.sleep(0)
        told.close()
    assert idle.result() == []
    assert await ids(told.listen()) == []


async def test_a_session_that_ends_in_the_middle_of_a_request_lets_it_end_first():
    told = Announcements()
    account = told.begin("a", 0)
    account.tell(chunk(0))
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(ids(told.listen()))
        await asyncio.sleep(0)
        told.close()
        await asyncio.sleep(0)
        assert not hearing.done()
        account.end(error_message("off the air"))
    assert hearing.result() == ["a:0", "a:1"]


async def test_last_words_are_said_in_the_middle_only():
    told = Announcements()
    listener = told.listen()
    assert listener.last_words() == b""
    account = told.begin("a", 0)
    account.tell(chunk(0))
    await anext(listener)
    assert listener.last_words() == b'data: {"event":"error","message":"the server is being stopped"}\n\n'
    account.end(END)
    await anext(listener)
    assert listener.last_words() == b""
