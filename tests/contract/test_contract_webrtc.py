"""WebRTC sessions with the original's signalling, up to decoded pictures and sound."""

import re
from typing import Final

import httpx
import pytest
from aiortc import RTCSessionDescription

from tests.clients.waiting import until
from tests.contract.field_types import (
    FILLED,
    NUMBER,
    OPTIONAL_TEXT,
    SESSION_ID,
    assert_invalid,
    assert_refused,
    assert_success,
)
from tests.contract.original_client import WEBRTC, Client, asked_until
from tests.contract.plain_peer import LOUD, Peer, join, peer
from tests.contract.short_speech import NOT_AUDIO, spoken

NOBODY: Final = "x" * 22
DEFAULTS: Final = {"fps": 10, "playback_fps": 10, "batch_size": 2, "chunk_duration": 2}
OFFER: Final = {"sdp": "v=0\r\n", "type": "offer"}
NO_CANDIDATE: Final = {"candidate": None, "sdpMid": None, "sdpMLineIndex": None}
STATUS: Final = {
    "session_id": SESSION_ID,
    "avatar_id": str,
    "user_id": OPTIONAL_TEXT,
    "status": FILLED,
    "active_stream": OPTIONAL_TEXT,
    "fps": int,
    "playback_fps": int,
    "batch_size": int,
    "chunk_duration": NUMBER,
    "track_stats": dict,
    ...: ...,
}


def created_shape(avatar: str, user: str | None, config: dict[str, object]) -> dict[object, object]:
    server = {"urls": [re.compile("(stun|turns?):.+")], ...: ...}
    return {
        "session_id": SESSION_ID,
        "player_url": re.compile(r"/webrtc/player/[A-Za-z0-9_-]{22}"),
        "avatar_id": avatar,
        "user_id": user,
        "ice_servers": [server],
        "expires_in_seconds": 3600,
        "config": {**config, ...: ...},
        ...: ...,
    }


async def test_a_session_has_the_defaults(http, target):
    made = await http.post(f"{WEBRTC}/create", params={"avatar_id": target.avatar})
    assert_success(made, created_shape(target.avatar, None, DEFAULTS))
    body = made.json()
    assert body["player_url"] == f"/webrtc/player/{body['session_id']}"
    deleted = await http.delete(f"{WEBRTC}/{body['session_id']}")
    assert_success(deleted, {"status": "deleted", "session_id": body["session_id"]})


async def test_a_session_is_as_it_was_asked_for(http, target):
    asked = {"fps": 10, "playback_fps": 20, "batch_size": 4, "chunk_duration": 3}
    query = {"avatar_id": target.avatar, "user_id": "me", "colour": "blue"}
    made = await http.post(f"{WEBRTC}/create", params=query | asked)
    assert_success(made, created_shape(target.avatar, "me", asked))
    assert (await http.delete(f"{WEBRTC}/{made.json()['session_id']}")).status_code == 200


async def test_pictures_are_sent_as_often_as_made_unless_said_otherwise(http, target):
    made = await http.post(f"{WEBRTC}/create", params={"avatar_id": target.avatar, "fps": 25})
    assert_success(made, created_shape(target.avatar, None, DEFAULTS | {"fps": 25, "playback_fps": 25}))
    assert (await http.delete(f"{WEBRTC}/{made.json()['session_id']}")).status_code == 200


@pytest.mark.improvement
async def test_a_session_may_be_asked_for_in_a_form(http, target):
    made = await http.post(f"{WEBRTC}/create", data={"avatar_id": target.avatar, "user_id": "me", "fps": "20"})
    assert_success(made, created_shape(target.avatar, "me", DEFAULTS | {"fps": 20, "playback_fps": 20}))
    assert (await http.delete(f"{WEBRTC}/{made.json()['session_id']}")).status_code == 200


@pytest.mark.later
async def test_what_newer_clients_add_is_taken(http, target):
    query = {"avatar_id": target.avatar, "prebuffer_seconds": 0.5, "idle_pose_id": "default"}
    made = await http.post(f"{WEBRTC}/create", params=query)
    shape = created_shape(target.avatar, None, {"fps": 10, "playback_fps": 10})
    assert_success(made, shape)
    assert (await http.delete(f"{WEBRTC}/{made.json()['session_id']}")).status_code == 200
    odd = await http.post(f"{WEBRTC}/create", params=query | {"idle_pose_id": "headstand"})
    assert odd.status_code in (200, 404), "another pose is the usual one, or is not there"


async def test_sessions_that_cannot_be_made(http, target):
    assert_refused(await http.post(f"{WEBRTC}/create", params={"avatar_id": "nobody_has_this_name"}), 404)
    assert_invalid(await http.post(f"{WEBRTC}/create"), "query", "avatar_id")
    for name in ("fps", "playback_fps", "batch_size", "chunk_duration"):
        wrong = {"avatar_id": target.avatar, name: "many"}
        assert_invalid(await http.post(f"{WEBRTC}/create", params=wrong), "query", name)


async def all_refused(client: Client, session_id: str) -> None:
    """Every route of a session answers that there is none."""
    path = f"{WEBRTC}/{session_id}"
    assert_refused(await client.http.post(f"{path}/offer", json=OFFER), 404)
    assert_refused(await client.http.post(f"{path}/ice", json=NO_CANDIDATE), 404)
    assert_refused(await client.upload(f"{path}/stream", spoken(0.5)), 404)
    assert_refused(await client.http.delete(path), 404)


async def test_a_session_that_never_was(client):
    await all_refused(client, NOBODY)


async def test_a_deleted_session_is_gone(client):
    session_id = (await client.create(WEBRTC))["session_id"]
    deleted = await client.http.delete(f"{WEBRTC}/{session_id}")
    assert_success(deleted, {"status": "deleted", "session_id": session_id})
    await all_refused(client, session_id)


async def test_what_signalling_needs(client):
    async with client.session(WEBRTC) as session_id:
        path = f"{WEBRTC}/{session_id}"
        assert_invalid(await client.http.post(f"{path}/offer", json={"type": "offer"}), "body", "sdp")
        assert_invalid(await client.http.post(f"{path}/offer", json={"sdp": "v=0\r\n"}), "body", "type")
        headers = {"Content-Type": "application/json"}
        for what in ("offer", "ice"):
            broken = await client.http.post(f"{path}/{what}", content=b'{"sdp": ', headers=headers)
            assert_refused(broken, 422, [{"loc": list, "msg": FILLED, "type": FILLED, ...: ...}])
        wrong = NO_CANDIDATE | {"sdpMLineIndex": "first"}
        assert_invalid(await client.http.post(f"{path}/ice", json=wrong), "body", "sdpMLineIndex")
        assert_invalid(await client.http.post(f"{path}/stream"), "body", "audio_file")


@pytest.mark.improvement
@pytest.mark.parametrize(
    "sdp", ["", "hello", "v=0\r\n", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9\r\n"]
)
async def test_offers_that_are_none(client, sdp):
    async with client.session(WEBRTC) as session_id:
        answer = await client.http.post(f"{WEBRTC}/{session_id}/offer", json={"sdp": sdp, "type": "offer"})
        assert answer.status_code in (400, 422) and answer.json().keys() == {"detail"}
        wrong = await client.http.post(f"{WEBRTC}/{session_id}/offer", json={"sdp": sdp, "type": "lunch"})
        assert wrong.status_code in (400, 422) and wrong.json().keys() == {"detail"}


@pytest.mark.improvement
async def test_candidates_that_are_none_do_no_harm(client, target):
    async with client.session(WEBRTC) as session_id, peer(target) as made:
        path = f"{WEBRTC}/{session_id}/ice"
        for candidate in ("candidate:nonsense", "hello", "candidate:1 1 udp 1 999.1.1.1 9 typ host", "\r\na=x"):
            body = {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}
            assert (await client.http.post(path, json=body)).status_code in (200, 400, 422)
        await join(client.http, session_id, made)
        await until(lambda: made.picture_times, target.patience_s, "a picture")


def assert_answer(answer: str) -> None:
    """All of the server's candidates, the codecs that iPhones need, and tracks it sends alone."""
    assert answer.startswith("v=0\r\n") and answer.endswith("\r\n")
    assert "a=candidate:" in answer
    assert answer.count("m=video") == answer.count("m=audio") == answer.count("opus/48000/2") == 1
    assert answer.count("a=sendonly") == 2


async def speaking_is_heard(client: Client, session_id: str, made: Peer) -> None:
    """One utterance at a time, heard to its end; then another is taken."""
    path = f"{WEBRTC}/{session_id}/stream"
    assert made.is_quiet(10), "idle is silent"
    accepted = await client.upload(path, spoken(1.5), form={"turn_id": "1"})
    request_id = re.compile(re.escape(client.target.avatar) + r"_webrtc_[0-9a-f]{8}")
    shape = {"request_id": request_id, "session_id": session_id, "status": "streaming", "message": FILLED, ...: ...}
    assert_success(accepted, shape)
    running = accepted.json()["request_id"]
    assert_refused(await client.upload(path, spoken(0.5)), 409, re.compile(rf".*{re.escape(running)}.*"))
    await until(lambda: made.loudness[-1] > LOUD, client.target.patience_s, "speech in the sound")
    await until(made.is_quiet, client.target.patience_s, "silence after speech")
    answer = await asked_until(
        lambda: client.upload(path, spoken(0.5)), lambda answer: answer.status_code != 409, client.target.patience_s
    )
    assert_success(answer, shape)
    assert answer.json()["request_id"] != running


async def test_a_session_is_watched_speaks_and_is_idle_again(client, target):
    async with client.session(WEBRTC) as session_id, peer(target) as made:
        assert_answer(await join(client.http, session_id, made))
        await until(lambda: len(made.picture_times) > 5 and made.is_quiet(10), target.patience_s, "idle pictures")
        await speaking_is_heard(client, session_id, made)
        seen = len(made.picture_times)
        await until(lambda: len(made.picture_times) > seen + 5, target.patience_s, "pictures that go on")
        if target.ours:
            assert made.steps() == {9000}, "the clock of ten pictures a second, idle and live"
            assert made.sizes == {(512, 512)}


async def join_by_whep(http: httpx.AsyncClient, session_id: str, made: Peer) -> str:
    """The standard's way to the same session; where to end it."""
    whole = made.connection.localDescription.sdp
    created = await http.post(f"/whep/{session_id}", content=whole, headers={"Content-Type": "application/sdp"})
    assert created.status_code == 201, created.text
    await made.connection.setRemoteDescription(RTCSessionDescription(created.text, "answer"))
    return str(created.headers["Location"])


@pytest.mark.improvement
async def test_a_page_reloads_others_watch_and_whep_plays_along(client, target):
    async with (
        client.session(WEBRTC, fps=10, playback_fps=20) as session_id,
        peer(target) as first,
        peer(target) as second,
        peer(target) as third,
    ):
        await join(client.http, session_id, first)
        await until(lambda: first.picture_times, target.patience_s, "a picture")
        await join(client.http, session_id, second)
        resource = await join_by_whep(client.http, session_id, third)
        seen = len(first.picture_times)
        await until(
            lambda: min(len(second.picture_times), len(third.picture_times), len(first.picture_times) - seen) > 5,
            target.patience_s,
            "pictures for all three",
        )
        assert first.steps() == second.steps() == third.steps() == {4500}
        assert (await client.http.delete(resource)).status_code == 200


async def test_speech_before_any_offer_is_taken(client):
    async with client.session(WEBRTC) as session_id:
        answer = await client.upload(f"{WEBRTC}/{session_id}/stream", spoken(0.5))
        assert answer.status_code == 200 and answer.json()["status"] == "streaming"


@pytest.mark.improvement
async def test_speech_that_is_none_is_refused_and_the_session_lives_on(client):
    async with client.session(WEBRTC) as session_id:
        path = f"{WEBRTC}/{session_id}/stream"
        refused = await client.upload(path, NOT_AUDIO)
        assert refused.status_code == 422 and refused.json().keys() == {"detail"}
        assert (await client.upload(path, spoken(0.5))).status_code == 200


@pytest.mark.later
async def test_the_state_of_a_session(client):
    async with client.session(WEBRTC, user_id="me") as session_id:
        path = f"{WEBRTC}/{session_id}/status"
        shape = STATUS | {"session_id": session_id, "user_id": "me", "fps": 10, "playback_fps": 10}
        answer = await client.http.get(path)
        assert_success(answer, shape | {"active_stream": None})
        assert answer.json()["status"] in ("new", "created", "missing")
        request_id = (await client.upload(f"{WEBRTC}/{session_id}/stream", spoken(1))).json()["request_id"]
        assert_success(await client.http.get(path), shape | {"active_stream": request_id, "status": "streaming"})
    assert_refused(await client.http.get(path), 404)


@pytest.mark.later
async def test_sessions_are_counted(client):
    async with client.session(WEBRTC, user_id="counted") as session_id:
        answer = await client.http.get(f"{WEBRTC}/stats")
        listed = STATUS | {"age_seconds": NUMBER, "idle_seconds": NUMBER, "player_url": str}
        shape = {"total_sessions": int, "active_streams": int, "sessions": [listed], ...: ...}
        assert_success(answer, shape)
        assert answer.json()["total_sessions"] == len(answer.json()["sessions"])
        (ours,) = [each for each in answer.json()["sessions"] if each["session_id"] == session_id]
        assert ours["player_url"] == f"/webrtc/player/{session_id}"
    left = (await client.http.get(f"{WEBRTC}/stats")).json()["sessions"]
    assert session_id not in [each["session_id"] for each in left]
