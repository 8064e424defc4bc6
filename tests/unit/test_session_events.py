"""The event streams of one WHEP session."""

import pytest

from whep_server.errors import BadRequest, NoSuchSession, TooMany
from whep_server.live.session_events import MAX_STREAMS, TYPES, SessionEvents

NOW = {"viewercount": {"viewercount": 2}, "active": {}}


async def read(events: SessionEvents, name: str) -> list[str]:
    """What waits in a stream; its session is over then."""
    with events.reading(name) as queue:
        events.close()
        return [event.kind async for event in queue]


async def test_a_stream_begins_with_the_present_and_goes_on_with_what_was_asked_for():
    events = SessionEvents()
    name = events.open(["viewercount", "reconnect"], NOW)
    for kind in TYPES:
        events.tell(kind, {})
    assert await read(events, name) == ["viewercount", "viewercount", "reconnect"]


async def test_no_stream_begins_with_inactive():
    events = SessionEvents()
    name = events.open(TYPES, {"inactive": {}})
    assert await read(events, name) == []


def test_types_that_are_not_there_make_no_stream():
    events = SessionEvents()
    with pytest.raises(BadRequest):
        events.open(["active", "layers"], NOW)
    assert [events.open(["active"], NOW) for _ in range(MAX_STREAMS)]
    with pytest.raises(TooMany):
        events.open(["active"], NOW)


def test_a_dropped_stream_makes_room():
    events = SessionEvents()
    names = [events.open([], NOW) for _ in range(MAX_STREAMS)]
    events.drop(names[0])
    with pytest.raises(NoSuchSession):
        events.drop(names[0])
    with pytest.raises(NoSuchSession):
        events.reading(names[0])
    assert events.open(["active"], NOW)


def test_a_stream_that_is_read_once_is_gone_after():
    events = SessionEvents()
    name = events.open(["active"], NOW)
    with events.reading(name, once=True):
        pass
    with pytest.raises(NoSuchSession):
        events.types(name)


def test_a_session_that_has_ended_opens_no_more():
    events = SessionEvents()
    events.close()
    with pytest.raises(NoSuchSession):
        events.open(["active"], NOW)
