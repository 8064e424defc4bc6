"""Avatars: the list, their video, preparing and deleting them, the cache."""

import io
import secrets
from typing import Any, Final

import av
import httpx
import pytest
from av.video.frame import PictureType

from tests.contract.field_types import FILLED, OPTIONAL_TEXT, assert_invalid, assert_refused, assert_success
from tests.contract.short_speech import NOT_AUDIO

LISTED: Final = {"avatar_id": str, "version": str, "bbox_shift": int, ...: ...}
PREPARED: Final = {"status": "success", "message": FILLED, ...: ...}
DELETED: Final = {
    "status": "success",
    "evicted_from_cache": bool,
    "deleted_from_disk": bool,
    "disk_path": OPTIONAL_TEXT,
    "message": FILLED,
}
PORTRAIT_S: Final = 1.5
NOBODY: Final = "nobody_has_this_name"


async def listed(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/avatars/list")
    assert_success(answer, {"avatars": [LISTED]})
    found: list[dict[str, Any]] = answer.json()["avatars"]
    return found


async def prepare(http: httpx.AsyncClient, video: bytes, **query: str) -> httpx.Response:
    return await http.post(
        "/avatars/prepare", params=query, files={"video_file": ("me.mp4", video, "video/mp4")}, timeout=900
    )


def beginning(film: bytes, seconds: float) -> bytes:
    """The first pictures of a film, as another; preparing takes the longer the more there are."""
    file = io.BytesIO()
    with av.open(io.BytesIO(film)) as source, av.open(file, "w", format="mp4") as output:
        rate = source.streams.video[0].average_rate
        stream = output.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = source.streams.video[0].width, source.streams.video[0].height
        for number, frame in enumerate(source.decode(video=0)):
            if number >= seconds * rate:
                break
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


async def test_the_list_names_the_avatar(http, target):
    assert target.avatar in [each["avatar_id"] for each in await listed(http)]


async def test_the_video_of_an_avatar(http, target):
    answer = await http.get(f"/avatars/{target.avatar}/video", params={"v": "1700000000000"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["content-disposition"] == f'inline; filename="{target.avatar}_input.mp4"'
    assert int(answer.headers["content-length"]) == len(answer.content) > 1024
    with av.open(io.BytesIO(answer.content)) as video:
        assert next(video.decode(video=0)).width > 0


@pytest.mark.improvement
async def test_parts_of_the_video(http, target):
    """Safari plays no video without them."""
    path = f"/avatars/{target.avatar}/video"
    whole = (await http.get(path)).content
    for asked, first, last in (("0-1", 0, 1), ("100-199", 100, 199), ("-10", len(whole) - 10, len(whole) - 1)):
        part = await http.get(path, headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206 and part.content == whole[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    assert (await http.get(path, headers={"Range": f"bytes={len(whole)}-"})).status_code == 416


async def test_an_unknown_avatar_has_no_video(http):
    assert_refused(await http.get(f"/avatars/{NOBODY}/video"), 404)


async def test_preparing_who_is_prepared_does_nothing(http, target):
    answer = await prepare(http, NOT_AUDIO, avatar_id=target.avatar, batch_size="20", bbox_shift="0")
    assert_success(answer, PREPARED | {"avatar_id": target.avatar})


@pytest.mark.improvement
async def test_scalars_may_come_in_the_form(http, target):
    answer = await http.post(
        "/avatars/prepare", data={"avatar_id": target.avatar}, files={"video_file": ("me.mp4", NOT_AUDIO, "video/mp4")}
    )
    assert_success(answer, PREPARED | {"avatar_id": target.avatar})


async def test_what_preparing_needs(http):
    assert_invalid(await prepare(http, NOT_AUDIO), "query", "avatar_id")
    assert_invalid(await http.post("/avatars/prepare", params={"avatar_id": NOBODY}), "body", "video_file")
    named = {"avatar_id": NOBODY, "force_recreate": "maybe"}
    assert_invalid(await prepare(http, NOT_AUDIO, **named), "query", "force_recreate")


async def test_what_is_no_video_cannot_be_prepared(http):
    assert_refused(await prepare(http, NOT_AUDIO, avatar_id=f"contract_{secrets.token_hex(4)}"), 500)


async def test_forgetting_an_avatar_keeps_it_on_disk(http, target):
    answer = await http.delete(f"/avatars/{target.avatar}")
    shape = DELETED | {"avatar_id": target.avatar, "deleted_from_disk": False, "disk_path": None}
    assert_success(answer, shape)
    assert target.avatar in [each["avatar_id"] for each in await listed(http)]


async def test_forgetting_who_never_was(http):
    shape = DELETED | {"avatar_id": NOBODY, "evicted_from_cache": False, "deleted_from_disk": False}
    assert_success(await http.delete(f"/avatars/{NOBODY}"), shape)
    assert_refused(await http.delete(f"/avatars/{NOBODY}", params={"from_disk": "true"}), 404)


@pytest.mark.timeout(1000)
async def test_an_avatar_is_prepared_and_deleted(http, target):
    video = beginning((await http.get(f"/avatars/{target.avatar}/video")).content, PORTRAIT_S)
    name = f"contract_{secrets.token_hex(4)}"
    assert_success(await prepare(http, video, avatar_id=name), PREPARED | {"avatar_id": name})
    try:
        assert name in [each["avatar_id"] for each in await listed(http)]
        made = await http.post("/sessions/create", params={"avatar_id": name})
        assert made.status_code == 200
        assert (await http.delete(f"/sessions/{made.json()['session_id']}")).status_code == 200
    finally:
        deleted = await http.delete(f"/avatars/{name}", params={"from_disk": "true"})
    assert_success(deleted, DELETED | {"avatar_id": name, "deleted_from_disk": True, "disk_path": FILLED})
    assert name not in [each["avatar_id"] for each in await listed(http)]


@pytest.mark.later
async def test_the_cache_can_be_warmed(http, target):
    path = f"/avatars/{target.avatar}/cache"
    shape = {"avatar_id": target.avatar, "status": FILLED, "cached": bool, ...: ...}
    warmed = await http.post(f"{path}/warm", params={"batch_size": 2, "wait": "true", "timeout_seconds": 60})
    assert_success(warmed, shape | {"status": "ready", "cached": True, "request_id": FILLED})
    assert_success(await http.get(f"{path}/status"), shape)
    assert_refused(await http.post(f"/avatars/{NOBODY}/cache/warm", params={"wait": "true"}), 404, (str, dict))
