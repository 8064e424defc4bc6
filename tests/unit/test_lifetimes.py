"""When a session of the original's families ends, and what holds it."""

import gc
import re
import weakref

import pytest

from tests.fake_live import FakeRegistry, FakeSession
from whep_server.compat.lifetimes import Busy, CompatSession, Kind, Sessions, video_of
from whep_server.errors import NoSuchAvatar, NoSuchSession, NotOnAir, Unavailable
from whep_server.settings import Settings

LONG_S = 10_000.0


@pytest.fixture
def live() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def sessions(live: FakeRegistry) -> Sessions:
    return Sessions(live, Settings(session_ttl_s=3600))


async def made(sessions: Sessions, kind: Kind = Kind.WEBRTC) -> CompatSession:
    return await sessions.create(kind, "nova", None, {"fps": 10}, fps=10)


async def test_a_session_is_a_stream_that_nobody_is_told_of(sessions, live):
    session = await made(sessions)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", session.id)
    stream = live.stream(session.id)
    assert (stream.listed, stream.format.fps, stream.avatar) == (False, 10, "nova")
    assert sessions.get(session.id, Kind.WEBRTC) is session
    with pytest.raises(NoSuchSession):
        sessions.get(session.id, Kind.SSE)
    await sessions.delete(session)
    with pytest.raises(NotOnAir):
        live.stream(session.id)
    with pytest.raises(NoSuchSession):
        sessions.get(session.id, Kind.WEBRTC)
    await sessions.delete(session)


async def test_what_nobody_has_used_for_long_ends(sessions, live):
    old, used = await made(sessions), await made(sessions, Kind.SSE)
    for session in (old, used):
        session.used_s -= LONG_S
    sessions.get(used.id, Kind.SSE)
    await sessions.sweep()
    assert sessions.all(Kind.WEBRTC) == [] and sessions.all(Kind.SSE) == [used]
    assert set(live.by_name) == {"demo", used.id}


@pytest.mark.parametrize("use", ["viewer", "publisher", "listener", "speech"])
async def test_who_is_there_is_use_and_the_time_counts_from_their_end(sessions, live, use):
    session = await made(sessions)
    stream = live.stream(session.id)
    if use == "viewer":
        stream.sessions["v"] = FakeSession(stream)
    elif use == "publisher":
        stream.publishers["p"] = FakeSession(stream)
    elif use == "listener":
        session.open = 1
    else:
        session.claim("nova_webrtc_01234567")
    session.used_s -= LONG_S
    await sessions.sweep()
    assert sessions.all(Kind.WEBRTC) == [session]

    stream.sessions.clear()
    stream.publishers.clear()
    session.open = 0
    session.release("nova_webrtc_01234567")
    await sessions.sweep()
    assert sessions.all(Kind.WEBRTC) == [session], "its time begins now"
    session.used_s -= LONG_S
    await sessions.sweep()
    assert sessions.all(Kind.WEBRTC) == []


async def test_a_clock_that_is_set_ends_no_session(sessions, monkeypatch):
    session = await made(sessions)
    later = session.created_at + LONG_S
    monkeypatch.setattr("time.time", lambda: later)
    await sessions.sweep()
    assert sessions.get(session.id, Kind.WEBRTC) is session
    assert session.idle_s < session.age_s < LONG_S and session.created_at <= session.last_activity < later


async def test_a_stream_that_was_taken_off_air_takes_its_session_with_it(sessions, live):
    session = await made(sessions)
    await live.take_off_air(session.id)
    assert sessions.all(Kind.WEBRTC) == []
    with pytest.raises(NoSuchSession):
        sessions.get(session.id, Kind.WEBRTC)


async def test_a_session_whose_stream_is_gone_is_not_held_until_it_would_expire(sessions, live):
    stream = weakref.ref((await made(sessions)).stream)
    await live.take_off_air(stream().name)
    gc.collect()
    assert stream() is not None
    await sessions.sweep()
    gc.collect()
    assert stream() is None


async def test_one_request_at_a_time(sessions):
    session = await made(sessions)
    session.claim("first")
    with pytest.raises(Busy, match="first"):
        session.claim("second")
    session.release("second")
    assert session.active_stream == "first"
    session.release("first")
    session.claim("third")
    assert sessions.requests.active == {"third"} and sessions.requests.total == 2


async def test_an_avatar_that_nobody_knows_makes_no_session(sessions):
    with pytest.raises(NoSuchAvatar):
        await sessions.create(Kind.SSE, "nobody", None, {}, fps=10)
    assert sessions.all(Kind.SSE) == []


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [([(512, 512), (1280, 720)], (1280, 720)), ([(640, 360)], (640, 360)), ([], (1280, 720))],
)
def test_an_avatar_is_shown_as_it_can_be(live, sizes, shown):
    live.avatars[0].sizes[:] = sizes
    video = video_of(live, Settings(), "nova", 15)
    assert (video.width, video.height, video.fps) == (*shown, 15)


def test_before_the_avatars_are_known_none_is_missing(live):
    live.avatars.clear()
    with pytest.raises(Unavailable):
        video_of(live, Settings(), "nova", 15)
