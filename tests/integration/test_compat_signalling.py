"""The original server's WebRTC routes above a fake live layer: exact bodies, and what a bad client gets."""

import itertools
import re
from dataclasses import replace

import httpx
from pydantic import SecretStr

from tests.fake_live import FakeEvent
from tests.integration.http_server import serving, until_answer
from whep_server.errors import AlreadyPublishing, NotAcceptable, Unavailable
from whep_server.metrics.facts import IceFailure
from whep_server.settings import Settings

SESSIONS = "/webrtc/sessions"
OFFER = "v=0\r\ns=-\r\na=ice-ufrag:abcd\r\n"
VALUE = "1 1 udp 2130706431 192.0.2.1 9 typ host"
SPEECH = {"audio_file": ("a.wav", b"speech", "audio/wav")}


async def create(http: httpx.AsyncClient, **query: object) -> str:
    made = await http.post(f"{SESSIONS}/create", params={"avatar_id": "nova", **query})  # type: ignore[arg-type]
    assert made.status_code == 200, made.text
    return str(made.json()["session_id"])


def detail(response: httpx.Response, status: int) -> object:
    assert response.status_code == status, f"{response.status_code} {response.text}"
    assert response.json().keys() == {"detail"}
    return response.json()["detail"]


# --- create


async def test_a_session_has_the_originals_defaults(http, live):
    body = (await http.post(f"{SESSIONS}/create?avatar_id=nova&colour=blue")).json()
    session_id = body["session_id"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", session_id)
    assert body == {
        "session_id": session_id,
        "player_url": f"/webrtc/player/{session_id}",
        "whep_url": f"/whep/{session_id}",
        "avatar_id": "nova",
        "user_id": None,
        "ice_servers": [],
        "expires_in_seconds": 3600,
        "config": {"fps": 10, "playback_fps": 10, "batch_size": 2, "chunk_duration": 2},
        "idle_pose_id": "default",
        "live_pose_id": "default",
        "available_pose_ids": ["default"],
        "ice_transport_policy": "all",
    }
    stream = live.stream(session_id)
    assert (stream.listed, stream.format.fps, stream.drawn_fps) == (False, 10, 0)


async def test_the_rates_that_are_told_are_those_that_are(http, live):
    for query, told, sent, drawn in (
        ({"fps": 25}, (25, 25), 25, 0),
        ({"fps": 10, "playback_fps": 20}, (10, 20), 20, 10),
        ({"fps": 24, "playback_fps": 1000}, (25, 30), 30, 25),
        ({"fps": 30, "playback_fps": 10}, (10, 10), 10, 0),
        ({"fps": 1}, (10, 10), 10, 0),
    ):
        body = (await http.post(f"{SESSIONS}/create", params={"avatar_id": "nova", **query})).json()
        stream = live.stream(body["session_id"])
        assert (body["config"]["fps"], body["config"]["playback_fps"]) == told
        assert (stream.format.fps, stream.drawn_fps) == (sent, drawn)


async def test_what_newer_clients_add(http):
    query = {"avatar_id": "nova", "prebuffer_seconds": "0.5", "idle_pose_id": "nod_agree"}
    body = (await http.post(f"{SESSIONS}/create", data=query)).json()
    assert (body["config"]["prebuffer_seconds"], body["idle_pose_id"]) == (0.5, "default")
    for wrong in ("11", "-1", "nan", "inf"):
        response = await http.post(f"{SESSIONS}/create", params=query | {"prebuffer_seconds": wrong})
        assert "prebuffer_seconds" in str(detail(response, 400))


async def test_sessions_that_cannot_be_made(http, live):
    for odd in ("nobody", "..", "../../etc/passwd", "a\0b", "a" * 4000, "Ünïcødé", " ", ""):
        assert isinstance(detail(await http.post(f"{SESSIONS}/create", params={"avatar_id": odd}), 404), str)
    (item,) = detail(await http.post(f"{SESSIONS}/create", json={"avatar_id": "nova"}), 422)  # type: ignore[misc]
    assert item["loc"] == ["query", "avatar_id"]
    live.avatars = []
    detail(await http.post(f"{SESSIONS}/create?avatar_id=nova"), 503)


async def test_ice_servers_as_a_browser_takes_them_and_only_for_who_may_watch(live):
    servers = {"stun_urls": "stun:a.example,stun:b.example", "turn_urls": "turn:c.example", "turn_secret": "s"}
    guarded = Settings(watch_token=SecretStr("watch"), turn_user="u", **servers)
    async with serving(guarded, live.open) as http:
        stranger = (await http.post(f"{SESSIONS}/create?avatar_id=nova")).json()
        friend = (
            await http.post(f"{SESSIONS}/create?avatar_id=nova", headers={"Authorization": "Bearer watch"})
        ).json()
        session_id = stranger["session_id"]
        for method, path in (("POST", "offer"), ("POST", "ice"), ("GET", "status")):
            detail(await http.request(method, f"{SESSIONS}/{session_id}/{path}"), 401)
    assert stranger["ice_servers"] == []
    stun, turn = friend["ice_servers"]
    assert stun == {"urls": ["stun:a.example", "stun:b.example"]}
    assert turn.keys() == {"urls", "username", "credential"} and turn["urls"] == ["turn:c.example"]
    assert re.fullmatch(r"\d{10}:u", turn["username"]), "a name that expires"


# --- offer and candidates


async def test_each_offer_is_a_viewer(http, live):
    session_id = await create(http)
    answer = await http.post(f"{SESSIONS}/{session_id}/offer", json={"sdp": OFFER, "type": "offer"})
    assert answer.json() == {"sdp": "v=0\r\ns=réponse\r\n", "type": "answer"}
    assert live.stream(session_id).viewer_count == 1


async def test_offers_that_cannot_be_answered(http, live):
    session_id = await create(http)
    path = f"{SESSIONS}/{session_id}/offer"
    for sdp in ("", "hello", "v=\0"):
        assert isinstance(detail(await http.post(path, json={"sdp": sdp, "type": "offer"}), 400), str)
    for body, loc in (
        ({"type": "offer"}, ["body", "sdp"]),
        ({"sdp": OFFER}, ["body", "type"]),
        ({"sdp": OFFER, "type": "answer"}, ["body", "type"]),
        ({"sdp": 7, "type": "offer"}, ["body", "sdp"]),
        ([], ["body"]),
        (None, ["body"]),
    ):
        (item,) = detail(await http.post(path, json=body), 422)  # type: ignore[misc]
        assert item["loc"] == loc
    for content in (b"", b"{", b"\xff", b'{"sdp": "\\ud800", "type": "offer"}'):
        detail(await http.post(path, content=content), 422)
    detail(await http.post(path, content=bytes(100_000)), 413)
    for fault in (NotAcceptable("no common codec"), Unavailable("no room")):
        live.stream(session_id).fault = fault
        detail(await http.post(path, json={"sdp": OFFER, "type": "offer"}), fault.status)
    assert live.stream(session_id).viewer_count == 0


async def test_candidates_reach_their_viewer_whenever_they_come(http, live):
    session_id = await create(http)
    path = f"{SESSIONS}/{session_id}"

    async def tell(**body: object) -> None:
        answer = await http.post(f"{path}/ice", json=body)
        assert answer.status_code == 200 and answer.json() == {"status": "ok"}

    await tell(candidate=f"candidate:{VALUE} ufrag abcd", sdpMid="0", sdpMLineIndex=0)
    await tell(candidate=f"candidate:{VALUE} ufrag else")
    await http.post(f"{path}/offer", json={"sdp": OFFER, "type": "offer"})
    (viewer,) = live.stream(session_id).sessions.values()
    early = f"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=candidate:{VALUE}\r\n"
    assert viewer.fragments == [early]
    await tell(candidate=f"candidate:{VALUE}".replace(" 9 ", " 10 "))
    assert viewer.fragments == [early, early.replace(" 9 typ", " 10 typ")]
    for nothing in (
        {},
        {"candidate": None, "sdpMid": None, "sdpMLineIndex": None},
        {"candidate": ""},
        {"candidate": "candidate:nonsense", "usernameFragment": "abcd"},
        {"candidate": "a=x\r\n" * 1000},
    ):
        await tell(**nothing)
    assert len(viewer.fragments) == 2
    await tell(candidate=f"candidate:{VALUE}\r\na=ice-ufrag:changed\r\na=ice-pwd:{'x' * 22}")
    assert viewer.fragments[2:] == [early], "and no restart"
    await viewer.close()
    await tell(candidate=f"candidate:{VALUE} ufrag abcd")


async def test_candidates_of_another_shape(http):
    path = f"{SESSIONS}/{await create(http)}/ice"
    for name, value in (
        ("sdpMLineIndex", "first"),
        ("sdpMid", 7),
        ("candidate", ["x"]),
        ("usernameFragment", "x" * 257),
    ):
        (item,) = detail(await http.post(path, json={name: value}), 422)  # type: ignore[misc]
        assert item["loc"] == ["body", name]
    detail(await http.post(path, content=b"candidate"), 422)


# --- speech


async def test_a_session_speaks_until_the_last_sound_was_heard(http, live):
    session_id = await create(http)
    path, stream = f"{SESSIONS}/{session_id}", live.stream(session_id)
    extras = {"turn_id": "1", "seq": "7", "pose_plan": "{}"}
    said = (await http.post(f"{path}/stream", files=SPEECH, data=extras)).json()
    assert re.fullmatch(r"nova_webrtc_[0-9a-f]{8}", said["request_id"])
    assert (said["session_id"], said["status"]) == (session_id, "streaming") and said["message"]
    assert stream.spoken == [b"speech"]
    assert said["request_id"] in str(detail(await http.post(f"{path}/stream", files=SPEECH), 409))
    (listener,) = stream.listeners
    for event in (
        FakeEvent("speech", {"utterance": "another", "state": "finished"}),
        FakeEvent("speech", {"utterance": "u1", "state": "started"}),
    ):
        listener.waiting.put_nowait(event)
    assert (await http.get(f"{path}/status")).json()["active_stream"] == said["request_id"]
    listener.waiting.put_nowait(FakeEvent("speech", {"utterance": "u1", "state": "failed"}))
    await until_answer(http, f"{path}/status", lambda answer: answer.json()["active_stream"] is None)
    assert stream.listeners == []


async def test_speech_that_cannot_be_said_leaves_the_session_free(http, live):
    session_id = await create(http)
    path, stream = f"{SESSIONS}/{session_id}/stream", live.stream(session_id)
    (item,) = detail(await http.post(path), 422)  # type: ignore[misc]
    assert item["loc"] == ["body", "audio_file"]
    detail(await http.post(path, files={"speech": ("a.wav", b"x")}), 422)
    detail(await http.post(path, data={"audio_file": "x"}), 422)
    assert isinstance(detail(await http.post(path, files={"audio_file": ("a.wav", b"junk")}), 422), str)
    detail(await http.post(path, files={"audio_file": ("a.wav", bytes(70_000))}), 413)
    broken = b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="a"\r\n\r\nhalf'
    detail(await http.post(path, content=broken, headers={"Content-Type": "multipart/form-data; boundary=x"}), 400)
    assert stream.spoken == [] and stream.listeners == []

    async def taken(_: object) -> None:
        raise AlreadyPublishing("a publisher has this stream")

    stream.speak = taken
    detail(await http.post(path, files=SPEECH), 409)
    del stream.speak
    assert (await http.post(path, files=SPEECH)).status_code == 200


# --- to the end


async def test_a_session_tells_how_it_is(http, live):
    session_id = await create(http, user_id="me", fps=10, playback_fps=20, prebuffer_seconds=2)
    path = f"{SESSIONS}/{session_id}"
    state = (await http.get(f"{path}/status")).json()
    assert (state["status"], state["user_id"], state["viewers"]) == ("created", "me", [])
    await http.post(f"{path}/offer", json={"sdp": OFFER, "type": "offer"})
    state = (await http.get(f"{path}/status")).json()
    assert (state["status"], state["prebuffer_seconds"], state["playback_fps"]) == ("connected", 2, 20)
    assert (state["ice_state"], state["codec"], state["ice_failures"]) == ("completed", "H264", 0)
    (viewer,) = state["viewers"]
    assert (viewer["ice_state"], viewer["video"]["codec"], viewer["video"]["bytes_sent"]) == (
        "completed",
        "H264",
        90_000,
    )
    assert state["track_stats"]["video"]["output_frames_sent"] == 50
    assert state["track_stats"]["audio"] == {"frames_sent": 100, "audio_seconds_sent": 2.0}
    (session,) = live.stream(session_id).sessions.values()
    session.known = replace(session.known, ending="lost", ice_failure=IceFailure.CONSENT)
    await session.close()
    state = (await http.get(f"{path}/status")).json()
    assert (state["viewers"], state["ice_failures"], state["status"]) == ([], 1, "created")
    assert [each["ice_failure"] for each in state["ended_viewers"]] == ["consent"]
    listed = (await http.get(f"{SESSIONS}/stats")).json()
    assert (listed["total_sessions"], listed["active_streams"]) == (1, 0)
    assert listed["processes"]["server"]["cpu_s"] > 0 and "stage_ms" in listed["processes"]["worker"]
    (shown,) = listed["sessions"]
    assert shown["player_url"] == f"/webrtc/player/{session_id}" and shown["age_seconds"] >= 0


async def test_a_session_ends_once(http, live):
    session_id = await create(http)
    path = f"{SESSIONS}/{session_id}"
    assert (await http.delete(path)).json() == {"status": "deleted", "session_id": session_id}
    assert session_id not in live.by_name
    for answer in (
        await http.delete(path),
        await http.get(f"{path}/status"),
        await http.post(f"{path}/offer", json={"sdp": OFFER, "type": "offer"}),
        await http.post(f"{path}/ice", json={}),
        await http.post(f"{path}/stream", files=SPEECH),
    ):
        assert isinstance(detail(answer, 404), str)


async def test_odd_ids_of_sessions(http):
    routes = (("GET", "{}/status"), ("POST", "{}/offer"), ("POST", "{}/ice"), ("DELETE", "{}"))
    odd_ones = ("..", "%2e%2e", "a%00b", "..%2f..%2fetc", "%c3%a9", "a" * 4000, "demo", "stats", "create")
    for odd, (method, path) in itertools.product(odd_ones, routes):
        response = await http.request(method, f"{SESSIONS}/{path.format(odd)}")
        assert response.status_code in (404, 405), f"{method} {path} {odd[:20]}: {response.status_code}"
        assert response.json().keys() == {"detail"}


async def test_a_path_prefix_is_put_before_what_is_told(live, settings):
    below = settings.model_copy(update={"public_base_path": "/talk"})
    async with serving(below, live.open) as http:
        body = (await http.post(f"{SESSIONS}/create?avatar_id=nova")).json()
        state = (await http.get(f"{SESSIONS}/{body['session_id']}/status")).json()
    assert body["player_url"] == state["player_url"] == f"/talk/webrtc/player/{body['session_id']}"
    assert body["whep_url"] == f"/talk/whep/{body['session_id']}"
