"""Sessions whose speech comes as chunks: made, spoken, listened to over server-sent events, deleted."""

import re
import time

import pytest

from tests.contract.event_wire import CHUNK, ERROR, assert_event_stream, assert_utterance
from tests.contract.field_types import (
    FILLED,
    NUMBER,
    OPTIONAL_TEXT,
    SESSION_ID,
    assert_invalid,
    assert_refused,
    assert_success,
    differences,
)
from tests.contract.original_client import SSE
from tests.contract.short_speech import NOT_AUDIO, spoken

NOBODY = "x" * 22
HEARTBEAT_S = 25.0
"""Proxies cut what was silent for 30 s and more."""
STATUS = {
    "session_id": SESSION_ID,
    "avatar_id": str,
    "user_id": OPTIONAL_TEXT,
    "active_stream": OPTIONAL_TEXT,
    "created_at": float,
    "last_activity": float,
    "age_seconds": NUMBER,
    "idle_seconds": NUMBER,
}
LISTED = {
    "session_id": SESSION_ID,
    "user_id": OPTIONAL_TEXT,
    "avatar_id": str,
    "active_stream": OPTIONAL_TEXT,
    "age_seconds": NUMBER,
    "idle_seconds": NUMBER,
}


def created_shape(avatar: str, user: str | None, config: dict[str, object]) -> dict[str, object]:
    return {
        "session_id": SESSION_ID,
        "player_url": re.compile(r"/player/session/[A-Za-z0-9_-]{22}"),
        "avatar_id": avatar,
        "user_id": user,
        "config": config,
        "expires_in_seconds": 3600,
    }


def request_pattern(avatar: str) -> re.Pattern[str]:
    return re.compile(re.escape(avatar) + r"_req_[0-9a-f]{8}")


async def test_a_session_has_the_defaults(http, target):
    made = await http.post("/sessions/create", params={"avatar_id": target.avatar})
    assert_success(made, created_shape(target.avatar, None, {"batch_size": 2, "fps": 15, "chunk_duration": 2}))
    body = made.json()
    assert body["player_url"] == f"/player/session/{body['session_id']}"
    assert_success(
        await http.delete(f"{SSE}/{body['session_id']}"), {"status": "deleted", "session_id": body["session_id"]}
    )


async def test_a_session_is_as_it_was_asked_for(http, target):
    asked = {"batch_size": 4, "fps": 20, "chunk_duration": 1}
    query = {"avatar_id": target.avatar, "user_id": "user 7", "trailing_silence": 2.5, "colour": "blue"}
    made = await http.post("/sessions/create", params=query | asked)
    assert_success(made, created_shape(target.avatar, "user 7", asked))
    assert (await http.delete(f"{SSE}/{made.json()['session_id']}")).status_code == 200


@pytest.mark.improvement
async def test_a_session_may_be_asked_for_in_a_form(http, target):
    query, config = {"avatar_id": target.avatar}, {"batch_size": 2, "fps": 25, "chunk_duration": 2}
    made = await http.post("/sessions/create", data=query | {"fps": "25"})
    assert_success(made, created_shape(target.avatar, None, config))
    multipart = await http.post("/sessions/create", files={"avatar_id": (None, target.avatar), "fps": (None, "25")})
    assert_success(multipart, created_shape(target.avatar, None, config))
    for each in (made, multipart):
        assert (await http.delete(f"{SSE}/{each.json()['session_id']}")).status_code == 200


@pytest.mark.improvement
async def test_chunks_may_last_fractions_of_a_second(http, target):
    made = await http.post("/sessions/create", params={"avatar_id": target.avatar, "chunk_duration": "0.5"})
    assert_success(made, created_shape(target.avatar, None, {"batch_size": 2, "fps": 15, "chunk_duration": 0.5}))
    assert (await http.delete(f"{SSE}/{made.json()['session_id']}")).status_code == 200


async def test_sessions_that_cannot_be_made(http, target):
    assert_refused(await http.post("/sessions/create", params={"avatar_id": "nobody_has_this_name"}), 404)
    assert_invalid(await http.post("/sessions/create"), "query", "avatar_id")
    for name in ("fps", "batch_size", "chunk_duration"):
        wrong = {"avatar_id": target.avatar, name: "many"}
        assert_invalid(await http.post("/sessions/create", params=wrong), "query", name)


async def test_all_that_is_wrong_is_told_at_once(http):
    wrong = await http.post("/sessions/create", params={"fps": "many"})
    assert_invalid(wrong, "query", "avatar_id")
    assert_invalid(wrong, "query", "fps")


async def test_the_state_of_a_session(client):
    async with client.session(user_id="me") as session_id:
        first = await client.http.get(f"{SSE}/{session_id}/status")
        known = {"session_id": session_id, "avatar_id": client.target.avatar, "user_id": "me", "active_stream": None}
        assert_success(first, STATUS | known)
        second = (await client.http.get(f"{SSE}/{session_id}/status")).json()
        assert second["created_at"] == first.json()["created_at"] > 1_600_000_000
        assert second["last_activity"] >= first.json()["last_activity"] >= second["created_at"]
        assert 0 <= second["idle_seconds"] <= second["age_seconds"]


async def test_a_session_is_counted(client):
    async with client.session(user_id="counted") as session_id:
        answer = await client.http.get("/sessions/stats")
        assert_success(answer, {"total_sessions": int, "active_streams": int, "sessions": [LISTED]})
        body = answer.json()
        assert body["total_sessions"] == len(body["sessions"])
        assert "counted" in [each["user_id"] for each in body["sessions"] if each["session_id"] == session_id]
    left = (await client.http.get("/sessions/stats")).json()["sessions"]
    assert session_id not in [each["session_id"] for each in left]


async def test_a_deleted_session_is_gone(client):
    session_id = (await client.create())["session_id"]
    assert_success(await client.http.delete(f"{SSE}/{session_id}"), {"status": "deleted", "session_id": session_id})
    assert_refused(await client.http.delete(f"{SSE}/{session_id}"), 404)
    assert_refused(await client.http.get(f"{SSE}/{session_id}/status"), 404)
    assert_refused(await client.http.get(f"{SSE}/{session_id}/events"), 404)
    assert_refused(await client.upload(f"{SSE}/{session_id}/stream", spoken(0.5)), 404)


async def test_a_session_that_never_was(client):
    assert_refused(await client.http.get(f"{SSE}/{NOBODY}/status"), 404)
    assert_refused(await client.http.get(f"{SSE}/{NOBODY}/events"), 404)
    assert_refused(await client.http.delete(f"{SSE}/{NOBODY}"), 404)
    assert_refused(await client.upload(f"{SSE}/{NOBODY}/stream", spoken(0.5)), 404)


async def test_speech_has_to_be_there_under_its_name(client):
    async with client.session() as session_id:
        path = f"{SSE}/{session_id}/stream"
        assert_invalid(await client.http.post(path), "body", "audio_file")
        wrong = {"audio": ("speech.wav", spoken(0.5), "audio/wav")}
        assert_invalid(await client.http.post(path, files=wrong), "body", "audio_file")
        assert (await client.http.get(f"{SSE}/{session_id}/status")).json()["active_stream"] is None


async def test_speech_becomes_chunks_then_complete_then_the_end(client):
    async with client.session(chunk_duration=1) as session_id, client.listening(session_id) as listener:
        assert_event_stream(listener.response)
        extras = {"query": {"trailing_silence": "2.0"}, "form": {"turn_id": "7"}}
        answer = await client.upload(f"{SSE}/{session_id}/stream", spoken(2.3), **extras)
        shape = {"session_id": session_id, "status": "streaming", "message": FILLED}
        assert_success(answer, shape | {"request_id": request_pattern(client.target.avatar)})
        events = await listener.until_closed()
        chunks = assert_utterance(events, answer.json()["request_id"])
        assert [chunk["duration"] for chunk in chunks] == [1.0, 1.0, 4 / 15]
        if not client.target.ours:
            assert re.fullmatch(rb"(data: \{[^\n]+\}\n\n)+", listener.raw)


async def test_a_session_speaks_twice_to_a_client_that_reconnects(client):
    async with client.session() as session_id:
        first, heard = await client.utterance(session_id, spoken(1))
        assert_utterance(heard.events, first)
        await client.until_free(session_id)
        second, heard = await client.utterance(session_id, spoken(0.6))
        assert second != first
        assert_utterance(heard.events, second)


async def test_what_nobody_heard_waits_for_the_next_listener(client):
    async with client.session() as session_id:
        request_id = await client.speak(session_id, spoken(0.6))
        await client.until_free(session_id)
        async with client.listening(session_id) as listener:
            assert_utterance(await listener.until_closed(), request_id)


async def test_one_utterance_at_a_time(client):
    async with client.session() as session_id, client.listening(session_id) as listener:
        request_id = await client.speak(session_id, spoken(3))
        second = await client.upload(f"{SSE}/{session_id}/stream", spoken(0.5))
        assert_refused(second, 409, re.compile(rf".*{re.escape(request_id)}.*"))
        state = (await client.http.get(f"{SSE}/{session_id}/status")).json()
        assert state["active_stream"] == request_id
        stats = (await client.http.get("/sessions/stats")).json()
        assert stats["active_streams"] >= 1
        assert request_id in [each["active_stream"] for each in stats["sessions"]]
        assert_utterance(await listener.until_closed(), request_id)


@pytest.mark.later
async def test_sessions_that_speak_are_listed(client):
    async with client.session() as session_id, client.listening(session_id) as listener:
        request_id = await client.speak(session_id, spoken(3))
        answer = await client.http.get("/sessions/live")
        live = LISTED | {"batch_size": int, "fps": int, "chunk_duration": NUMBER}
        shape = {"total_live": int, "session_streams": [{**live, ...: ...}], "webrtc_streams": list, ...: ...}
        assert_success(answer, shape)
        assert request_id in [each["active_stream"] for each in answer.json()["session_streams"]]
        await listener.until_closed()


@pytest.mark.parametrize("content", [NOT_AUDIO, b""], ids=["text", "nothing"])
async def test_speech_that_is_none_is_an_error_and_the_session_lives_on(client, content):
    async with client.session() as session_id:
        _, heard = await client.utterance(session_id, content)
        assert [not differences(event.message, ERROR) for event in heard.events] == [True], heard.raw
        request_id, heard = await client.utterance(session_id, spoken(0.6))
        assert_utterance(heard.events, request_id)


@pytest.mark.improvement
async def test_every_listener_hears_everything(client):
    async with (
        client.session(chunk_duration=1) as session_id,
        client.listening(session_id) as one,
        client.listening(session_id) as other,
    ):
        request_id = await client.speak(session_id, spoken(2.3))
        assert_utterance(await one.until_closed(), request_id)
        assert_utterance(await other.until_closed(), request_id)


@pytest.mark.improvement
async def test_a_listener_that_was_cut_off_gets_the_rest(client):
    async with client.session(chunk_duration=1) as session_id:
        async with client.listening(session_id) as listener:
            request_id = await client.speak(session_id, spoken(2.3))
            (first,) = await listener.until(1)
        assert first.id and not differences(first.message, CHUNK)
        async with client.listening(session_id, {"Last-Event-ID": first.id}) as listener:
            rest = await listener.until_closed()
        assert_utterance([first, *rest], request_id)


@pytest.mark.improvement
async def test_who_heard_the_end_does_not_hear_it_again(client):
    async with client.session() as session_id:
        _, heard = await client.utterance(session_id, spoken(0.6))
        last = heard.events[-1]
        assert last.id and last.kind == "complete"
        async with client.listening(session_id, {"Last-Event-ID": last.id}) as listener:
            request_id = await client.speak(session_id, spoken(0.6))
            assert_utterance(await listener.until_closed(), request_id)


@pytest.mark.improvement
def test_a_silent_stream_sends_a_comment_now_and_then(idle_listener):
    deadline, came = time.monotonic() + HEARTBEAT_S, b""
    while b"\n:" not in came:
        idle_listener.settimeout(max(0.1, deadline - time.monotonic()))
        piece = idle_listener.recv(65536)
        assert piece, f"closed after {came!r}"
        came += piece
    assert b"data:" not in came
