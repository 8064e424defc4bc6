"""Listeners of a stream's events."""

from whep_server.live.events import Events, StreamEvent


async def test_a_listener_hears_what_happens_until_the_stream_ends():
    events = Events(8)
    with events.listen([StreamEvent("state")]) as queue:
        events.emit(StreamEvent("viewers", {"viewers": 1}))
        events.close()
        assert [event.kind async for event in queue] == ["state", "viewers"]
    with events.listen([StreamEvent("state")]) as queue:
        assert [event.kind async for event in queue] == ["state"]


async def test_a_listener_that_sleeps_is_cut_off():
    events = Events(2)
    with events.listen([]) as sleeper, events.listen([]) as reader:
        for at in range(3):
            events.emit(StreamEvent(str(at)))
            assert (await anext(reader)).kind == str(at)
        assert [event.kind async for event in sleeper] == ["0", "1"]
