"""The original server's service and avatar routes over a real socket, above a fake live layer."""

import asyncio
import itertools

import httpx

from tests.clients.waiting import until
from tests.integration.http_server import assert_problem, serving
from whep_server.errors import Unavailable, WorkerLost
from whep_server.settings import Settings

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ORIGIN = "https://app.example"
UPLOAD = {"video_file": ("me.mp4", b"a face", "video/mp4")}


def detail(response: httpx.Response, status: int) -> object:
    """What an error of the original says, which is all it says."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"detail"}
    return response.json()["detail"]


# --- the service


async def test_a_program_is_greeted_in_json(http):
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", "nonsense", "text/html;q=1e999"):
        response = await http.get("/", headers={"Accept": accept})
        assert response.json() == {"status": "healthy", "service": "MuseTalk Real-Time API", "version": "1.0.0"}
        assert "Accept" in response.headers["vary"]


async def test_a_browser_is_shown_what_is_on_air(http):
    response = await http.get("/", headers=BROWSER)
    assert response.headers["content-type"].startswith("text/html") and "/player/demo" in response.text
    assert "Accept" in response.headers["vary"]


async def test_health_is_whether_speech_would_be_served(http, live):
    well = (await http.get("/health")).json()
    assert well == {
        "ok": True,
        "status": "healthy",
        "service": "musetalk",
        "gpu_available": False,
        "cached_avatars": 1,
        "active_requests": 0,
    }
    live.ready = False
    assert "worker" in str(detail(await http.get("/health"), 503))


async def test_the_figures_are_what_happened(http):
    first = (await http.post("/webrtc/sessions/create", params={"avatar_id": "nova"})).json()["session_id"]
    await http.post(f"/webrtc/sessions/{first}/stream", files={"audio_file": ("a.wav", b"speech")})
    stats = (await http.get("/stats")).json()
    assert stats["gpu"]["total_gb"] == stats["gpu"]["free_gb"] == 0
    assert (stats["active_requests"], stats["total_requests"]) == (1, 1)
    cache = stats["cache"]
    assert cache == (await http.get("/stats/cache")).json() | {"avatars": cache["avatars"]}
    assert (cache["hits"], cache["misses"], cache["evictions"], cache["hit_rate"]) == (3, 1, 2, "75.00%")
    assert (cache["total_memory_mb"], cache["max_memory_mb"]) == (1.0, 1024.0)
    assert [(each["id"], each["memory_mb"], each["load_count"]) for each in cache["avatars"]] == [("nova", 1.0, 1)]
    assert (await http.delete(f"/webrtc/sessions/{first}")).status_code == 200
    card = (await http.get("/stats/gpu-live")).json()
    assert card["available"] is False and card["reason"]


# --- who may, and from where


async def test_pages_of_any_origin_may_ask_but_send_no_credentials(http):
    for path in ("/avatars/list", "/webrtc/sessions/nobody/status", "/sessions/no/such/path"):
        response = await http.get(path, headers={"Origin": ORIGIN})
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers


async def test_pages_of_an_origin_that_is_named_may_send_credentials_and_others_are_told_nothing(live):
    async with serving(Settings(cors_origins=ORIGIN), live.open) as http:
        for path in ("/avatars/list", "/sessions/no/such/path", "/streams", "/no/such/path"):
            known = await http.get(path, headers={"Origin": ORIGIN})
            assert known.headers["access-control-allow-origin"] == ORIGIN
            ours = path in ("/streams", "/no/such/path")
            assert ("access-control-allow-credentials" in known.headers) != ours
            for origin in ({}, {"Origin": "https://elsewhere.example"}):
                other = await http.get(path, headers=origin)
                assert not [name for name in other.headers if name.startswith("access-control-")]
                assert "Origin" in other.headers["vary"]


async def test_a_preflight_allows_whatever_it_asks_for(http):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "content-type,x-my-own"
    for path in ("/webrtc/sessions/x/offer", "/avatars/prepare", "/webrtc/sessions/x/stream"):
        response = await http.options(path, headers=asked)
        assert response.status_code in (200, 204)
        assert response.headers["access-control-allow-headers"] == "content-type,x-my-own"
        assert "POST" in response.headers["access-control-allow-methods"]


async def test_other_paths_keep_to_their_own_rules(http):
    response = await http.get("/streams", headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


async def test_what_is_not_there_is_said_in_each_ones_words(http):
    detail(await http.get("/webrtc/nothing"), 404)
    detail(await http.get("/avatars/a/b/c/d"), 404)
    detail(await http.put("/avatars/list"), 405)
    detail(await http.put("/health"), 405)
    assert_problem(await http.get("/nothing"), 404)
    assert_problem(await http.put("/streams"), 405)


# --- avatars


async def test_the_list_has_the_originals_fields(http):
    assert (await http.get("/avatars/list")).json()["avatars"] == [
        {
            "avatar_id": "nova",
            "version": "viseme",
            "bbox_shift": 0,
            "video_layout": "single_video",
            "has_idle_video": True,
            "idle_poses": ["default"],
        }
    ]
    poses = (await http.get("/avatars/nova/idle-poses")).json()
    assert [pose["pose_id"] for pose in poses["poses"]] == ["default"]
    detail(await http.get("/avatars/nobody/idle-poses"), 404)


async def test_the_film_of_an_avatar(http):
    whole = await http.get("/avatars/nova/video", params={"v": "1700000000000", "pose_id": "x"})
    assert whole.status_code == 200 and whole.headers["content-type"] == "video/mp4"
    assert whole.headers["content-disposition"] == 'inline; filename="nova_input.mp4"'
    assert whole.headers["cache-control"] == "public, max-age=3600" and whole.headers["accept-ranges"] == "bytes"
    size = len(whole.content)
    for asked, first, last in (("0-1", 0, 1), ("100-", 100, size - 1), ("-10", size - 10, size - 1)):
        part = await http.get("/avatars/nova/video", headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206 and part.content == whole.content[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    for asked in (f"{size}-", "-0"):
        beyond = await http.get("/avatars/nova/video", headers={"Range": f"bytes={asked}"})
        detail(beyond, 416)
        assert beyond.headers["content-range"] == f"bytes */{size}"
    for asked in ("lines=0-1", "bytes=5-3", "bytes=0-1,3-4", "bytes=-"):
        assert (await http.get("/avatars/nova/video", headers={"Range": asked})).status_code == 200
    looked = await http.head("/avatars/nova/video")
    assert looked.headers["content-length"] == str(size) and looked.content == b""


async def test_films_by_their_role(http):
    idle = await http.get("/avatars/nova/video", params={"role": "idle"})
    assert idle.headers["content-disposition"] == 'inline; filename="nova_idle_default.mp4"'
    detail(await http.get("/avatars/nova/video", params={"role": "lunch"}), 400)
    detail(await http.get("/avatars/nobody/video"), 404)


async def test_an_avatar_is_prepared_once(http, live):
    made = await http.post("/avatars/prepare", params={"avatar_id": "me", "batch_size": "20"}, files=UPLOAD)
    assert made.status_code == 200 and live.prepared == {"me": b"a face"}
    assert made.json()["status"] == "success" and made.json()["avatar_id"] == "me" and made.json()["message"]
    other = {"video_file": ("me.mp4", b"another face", "video/mp4")}
    again = await http.post("/avatars/prepare", data={"avatar_id": "me"}, files=other)
    assert again.status_code == 200 and live.prepared == {"me": b"a face"}
    anew = {"avatar_id": "me", "force_recreate": "true"}
    assert (await http.post("/avatars/prepare", data=anew, files=other)).status_code == 200
    assert live.prepared == {"me": b"another face"}


async def test_what_cannot_be_prepared(http, live, settings):
    junk = {"video_file": ("me.mp4", b"junk", "video/mp4")}
    assert "video" in str(detail(await http.post("/avatars/prepare?avatar_id=me", files=junk), 500))
    detail(await http.post("/avatars/prepare?avatar_id=nova&force_recreate=true", files=UPLOAD), 409)
    (item,) = detail(await http.post("/avatars/prepare", files=UPLOAD), 422)
    assert item["loc"] == ["query", "avatar_id"]
    (item,) = detail(await http.post("/avatars/prepare?avatar_id=me"), 422)
    assert item["loc"] == ["body", "video_file"]
    for name in ("..", ".hidden", "a/b", "a" * 129, "\0", "é"):
        detail(await http.post("/avatars/prepare", params={"avatar_id": name}, files=UPLOAD), 400)
    small = settings.model_copy(update={"max_video_bytes": 1024})
    async with serving(small, live.open) as tight:
        big = {"video_file": ("me.mp4", bytes(2048), "video/mp4")}
        detail(await tight.post("/avatars/prepare?avatar_id=me", files=big), 413)
    assert live.prepared == {}


async def test_an_avatar_is_forgotten_and_deleted(http):
    await http.post("/avatars/prepare", params={"avatar_id": "me"}, files=UPLOAD)
    forgotten = (await http.delete("/avatars/nova")).json()
    assert (forgotten["evicted_from_cache"], forgotten["deleted_from_disk"], forgotten["disk_path"]) == (
        True,
        False,
        None,
    )
    never = (await http.delete("/avatars/never_was")).json()
    assert (never["status"], never["evicted_from_cache"], never["deleted_from_disk"]) == ("success", False, False)
    gone = (await http.delete("/avatars/me", params={"from_disk": "true"})).json()
    assert (gone["deleted_from_disk"], gone["disk_path"], gone["avatar_id"]) == (True, "avatars/me", "me")
    detail(await http.delete("/avatars/me", params={"from_disk": "true"}), 404)
    detail(await http.delete("/avatars/nova", params={"from_disk": "true"}), 409)
    detail(await http.delete("/avatars/nova", params={"from_disk": "perhaps"}), 422)
    assert (await http.get("/stats/cache")).json()["avatars"] == []


async def test_an_avatar_is_loaded_before_anybody_looks(http, live):
    live.by_name.clear()
    live.cached.clear()
    assert (await http.get("/avatars/nova/cache/status")).json()["status"] == "not_cached"
    warmed = await http.post("/avatars/nova/cache/warm", params={"wait": "true", "batch_size": 4})
    assert warmed.status_code == 200
    assert (warmed.json()["status"], warmed.json()["cached"], warmed.json()["batch_size"]) == ("ready", True, 4)
    again = (await http.post("/avatars/nova/cache/warm")).json()
    assert again["deduped"] is True and again["request_id"] == warmed.json()["request_id"]
    assert (await http.get("/avatars/nova/cache/status")).json()["status"] == "ready"
    assert live.by_name == {}
    faster = (await http.post("/avatars/nova/cache/warm", params={"wait": "true", "fps": 25})).json()
    assert faster["deduped"] is False and faster["request_id"] != again["request_id"]
    live.cached.clear()  # others needed the room
    assert (await http.get("/avatars/nova/cache/status")).json()["status"] == "not_cached"
    anew = (await http.post("/avatars/nova/cache/warm", params={"wait": "true", "fps": 25})).json()
    assert (anew["deduped"], anew["status"], anew["cached"]) == (False, "ready", True)
    await http.delete("/avatars/nova")
    assert (await http.get("/avatars/nova/cache/status")).json()["status"] == "not_cached"
    assert (await http.get("/avatars/nobody/cache/status")).json()["status"] == "missing"
    detail(await http.post("/avatars/nobody/cache/warm"), 404)


async def test_loading_that_takes_its_time_or_fails(http, live, monkeypatch):
    put_on_air, gate = live.put_on_air, asyncio.Event()

    async def slowly(*given: object, **named: object) -> object:
        await gate.wait()
        return await put_on_air(*given, **named)

    monkeypatch.setattr(live, "put_on_air", slowly)
    under_way = await http.post("/avatars/nova/cache/warm")
    assert under_way.status_code == 202 and under_way.json()["status"] in ("queued", "loading_into_memory")
    waited = await http.post("/avatars/nova/cache/warm", params={"wait": "true", "timeout_seconds": 0})
    assert waited.status_code == 202 and waited.json()["deduped"] is True
    gate.set()
    assert (await http.post("/avatars/nova/cache/warm", params={"wait": "true"})).status_code == 200

    async def failing(*_: object, **__: object) -> object:
        raise WorkerLost("the worker is gone")

    monkeypatch.setattr(live, "put_on_air", failing)
    await http.delete("/avatars/nova")
    asked = await http.post("/avatars/nova/cache/warm", params={"wait": "true"})
    assert "gone" in str(detail(asked, 500))


async def test_odd_names_of_avatars(http):
    routes = (
        ("GET", "/avatars/{}/video"),
        ("DELETE", "/avatars/{}?from_disk=true"),
        ("POST", "/avatars/{}/cache/warm"),
        ("GET", "/avatars/{}/cache/status"),
        ("GET", "/avatars/{}/idle-poses"),
    )
    odd_ones = ("..", "%2e%2e", "a%00b", "..%2f..%2fetc%2fpasswd", "%c3%a9", "a" * 4000, "%20")
    for odd, (method, path) in itertools.product(odd_ones, routes):
        response = await http.request(method, path.format(odd))
        assert response.status_code in (404, 405), f"{method} {path} {odd[:20]}: {response.status_code} {response.text}"
        assert response.json()["detail"]


async def test_a_fault_of_ours_says_nothing_of_itself(http, live, monkeypatch, caplog):
    async def broken(*_: object, **__: object) -> object:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(live, "delete_avatar", broken)
    assert detail(await http.delete("/avatars/nova"), 500) == "Internal Server Error"
    await until(lambda: any(record.exc_info for record in caplog.records), 5, "the fault in the log")

    def starting(*_: object) -> object:
        raise Unavailable("the worker is starting", retry_after_s=3)

    monkeypatch.setattr(live, "begin_avatar", starting)
    busy = await http.post("/avatars/prepare?avatar_id=me", files=UPLOAD)
    detail(busy, 503)
    assert busy.headers["retry-after"] == "3"
