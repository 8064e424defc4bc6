"""What nobody should send: paths for ids, odd names, numbers out of range, uploads without an end."""

import re
from typing import Final
from urllib.parse import quote, urlsplit

import pytest

from tests.clients.raw_http import Answer, connected
from tests.contract.conftest import MAX_UPLOAD_BYTES
from tests.contract.event_wire import assert_utterance
from tests.contract.field_types import assert_refused
from tests.contract.original_client import SSE, WEBRTC
from tests.contract.short_speech import NOT_AUDIO, spoken

ODD: Final = {
    "parent": "..",
    "this": ".",
    "climbing": "../../../../etc/passwd",
    "encoded": "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "encoded twice": "..%252f..%252fetc%252fpasswd",
    "dots encoded": "%2e%2e/%2e%2e/etc/passwd",
    "backslashes": "..%5c..%5cetc%5cpasswd",
    "absolute": "%2fetc%2fpasswd",
    "a null": "nova%00.mp4",
    "no text": "%ff%fe",
    "a line": "a%0d%0aSet-Cookie:%20x=1",
    "spaces": "%20%20",
    "letters": quote("Ünïcødé-名前"),
    "a dash": "-rf",
    "long": "a" * 4000,
}
ROUTES: Final = [
    ("GET", "/avatars/{}/video"),
    ("DELETE", "/avatars/{}?from_disk=true"),
    ("GET", "/generate/{}/status"),
    ("GET", "/generate/{}/download"),
    ("GET", "/sessions/{}/status"),
    ("GET", "/sessions/{}/events"),
    ("DELETE", "/sessions/{}"),
    ("GET", "/chunks/{}/chunk_0000.mp4"),
    ("GET", "/chunks/a_req_01234567/{}"),
    ("GET", "/player/{}"),
    ("GET", "/player/session/{}"),
    ("GET", "/webrtc/player/{}"),
    ("GET", "/webrtc/sessions/{}/status"),
    ("DELETE", "/webrtc/sessions/{}"),
    ("POST", "/sessions/create?avatar_id={}"),
    ("POST", "/webrtc/sessions/create?avatar_id={}"),
]
SCALE: Final = {"fps": int, "batch_size": int, "chunk_duration": (int, float)}


async def bare(base: str, method: str, path: str) -> Answer:
    """An answer to a path that no client would send as it is."""
    url = urlsplit(base)
    async with connected(url.hostname or "", url.port or 80) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        await connection.send(head.encode())
        return await connection.answer()


@pytest.mark.improvement
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_ids_are_never_paths(target, odd):
    for method, route in ROUTES:
        answer = await bare(target.base, method, route.format(odd))
        assert 400 <= answer.status < 500, f"{method} {route}: {answer.status} {answer.body[:200]!r}"
        assert b"root:" not in answer.body and "set-cookie" not in answer.headers
        assert (
            answer.headers.get("content-type", "") in ("application/json", "application/problem+json")
            or not answer.body
        )


@pytest.mark.improvement
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_names_of_avatars_are_never_paths(client, odd):
    query = f"?avatar_id={odd}"
    files = {"video_file": ("me.mp4", NOT_AUDIO, "video/mp4")}
    assert 400 <= (await client.http.post(f"/avatars/prepare{query}", files=files)).status_code <= 500
    generated = await client.upload(f"/generate{query}", spoken(0.3))
    assert 400 <= generated.status_code < 500 and "detail" in generated.json()


@pytest.mark.improvement
async def test_a_film_is_written_where_films_are(client):
    for name in ("../../escaped", "/tmp/escaped", "a\0b", "a" * 4000, "..", "a/b"):
        query = {"avatar_id": client.target.avatar, "output_name": name}
        answer = await client.upload("/generate", spoken(0.3), query=query)
        assert answer.status_code in (200, 400, 422), f"{name[:20]!r}: {answer.status_code}"


@pytest.mark.improvement
@pytest.mark.parametrize("family", [SSE, WEBRTC])
@pytest.mark.parametrize("value", ["0", "-1", "1000000", "-99999999999999999999", "1e400", "nan", "2.5", "", " "])
@pytest.mark.parametrize("name", SCALE)
async def test_numbers_are_clamped_or_refused(client, family, name, value):
    query = {"avatar_id": client.target.avatar, name: value}
    answer = await client.http.post(f"{family}/create", params=query)
    if answer.status_code == 422:
        assert [name] == [item["loc"][-1] for item in answer.json()["detail"]]
        return
    assert answer.status_code == 200, answer.text
    config = answer.json()["config"]
    assert 0 < config["fps"] <= 60 and 0 < config["chunk_duration"] <= 60 and 0 < config["batch_size"] <= 1024
    assert (await client.http.delete(f"{family}/{answer.json()['session_id']}")).status_code == 200


@pytest.mark.parametrize(
    "filename",
    ["../../../evil.wav", "", "speech", 'quo"te.wav', "Sprache für alle.wav", "a" * 300 + ".wav", "a.b/c.wav"],
)
@pytest.mark.improvement
async def test_names_of_uploads_mean_nothing(client, filename):
    async with client.session() as session_id, client.listening(session_id) as listener:
        answer = await client.upload(f"{SSE}/{session_id}/stream", spoken(0.3), filename=filename or "x")
        assert answer.status_code == 200, answer.text
        assert_utterance(await listener.until_closed(), answer.json()["request_id"])


async def test_json_is_no_form(http, target):
    """A client that sends it learns that the avatar is missing, not that something is broken."""
    answer = await http.post("/sessions/create", json={"avatar_id": target.avatar})
    assert_refused(answer, 422, list)


@pytest.mark.improvement
async def test_forms_that_are_broken(client):
    async with client.session() as session_id:
        for content_type, body in (
            ("multipart/form-data", b"--x\r\n"),
            ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--\r\n"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="audio_file"\r\n\r\nhalf',
            ),
            ("application/x-www-form-urlencoded", b"audio_file=hello"),
            ("audio/wav", spoken(0.3)),
        ):
            headers = {"Content-Type": content_type}
            answer = await client.http.post(f"{SSE}/{session_id}/stream", content=body, headers=headers)
            assert answer.status_code in (400, 415, 422), f"{content_type} {body[:20]!r}: {answer.status_code}"
            assert answer.json().keys() == {"detail"}
        state = (await client.http.get(f"{SSE}/{session_id}/status")).json()
        assert state["active_stream"] is None


@pytest.mark.improvement
async def test_uploads_have_an_end(client):
    huge = bytes(MAX_UPLOAD_BYTES + 1024)
    avatar = {"avatar_id": client.target.avatar}
    async with client.session() as chunked, client.session(WEBRTC) as live:
        for path in (f"{SSE}/{chunked}/stream", f"{WEBRTC}/{live}/stream"):
            assert_refused(await client.upload(path, huge), 413)
            assert (await client.upload(path, spoken(0.3))).status_code == 200, "the session is free again"
        assert_refused(await client.upload("/generate", huge, query=avatar), 413)
        assert_refused(await client.upload("/generate/stream", huge, query=avatar), 413)
        files = {"video_file": ("me.mp4", huge, "video/mp4")}
        query = avatar | {"force_recreate": "true"} if not client.target.ours else {"avatar_id": "contract_huge"}
        assert_refused(await client.http.post("/avatars/prepare", params=query, files=files), 413)


@pytest.mark.improvement
@pytest.mark.parametrize("path", ["/sessions/create", "/avatars/list", "/health", "/webrtc/sessions/create"])
async def test_methods_that_are_not_there(http, path):
    answer = await http.request("PUT", path)
    assert answer.status_code in (404, 405)
    assert re.search("detail", answer.text)
