"""Parameters as the original server took them, names as it gave them, and what is wrong as it said it."""

import json
import re
from typing import Any

import pytest
from litestar import Request
from litestar.exceptions import NotFoundException

from whep_server.compat.dialect import (
    AVATAR_ID,
    REQUEST_ID,
    BatchSize,
    ChunkSeconds,
    FrameRate,
    Invalid,
    Params,
    from_framework,
    from_server_error,
    missing,
    new_id,
    parse_json,
    read_params,
)
from whep_server.compat.lifetimes import nearest_rate
from whep_server.errors import ServerError, TooMany


class Numbers(Params):
    name: str
    fps: FrameRate = 15
    batch_size: BatchSize = 2
    chunk_duration: ChunkSeconds = 2
    again: bool = False


def request(query: str = "", method: str = "GET") -> Request[Any, Any, Any]:
    scope = {
        "type": "http",
        "method": method,
        "path": "/x",
        "query_string": query.encode(),
        "headers": [],
        "state": {},
        "path_template": "/x",
    }
    return Request(scope)  # type: ignore[arg-type]


def sent(response: Any, asked: Request[Any, Any, Any]) -> tuple[int, Any]:
    made = response.to_asgi_response(request=asked)
    return made.status_code, json.loads(made.body) if made.body else None


def test_the_query_counts_before_the_form_and_what_is_not_known_is_passed_over():
    found = read_params(Numbers, request("name=query&colour=blue"), {"name": "form", "fps": "25"})
    assert (found.name, found.fps, found.batch_size, found.chunk_duration) == ("query", 25, 2, 2)


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("fps=1000000", "fps", 1_000_000),  # as a rate that is served: below
        ("batch_size=0", "batch_size", 1),
        ("batch_size=-99999999999999999999", "batch_size", 1),
        ("batch_size=1000000", "batch_size", 64),
        ("chunk_duration=3", "chunk_duration", 3),
        ("chunk_duration=1.5", "chunk_duration", 1.5),
        ("chunk_duration=0", "chunk_duration", 0.5),
        ("chunk_duration=-5", "chunk_duration", 0.5),
        ("chunk_duration=1000000", "chunk_duration", 30),
        ("again=true", "again", True),
    ],
)
def test_numbers_are_held_to_what_makes_sense(query, name, value):
    found = getattr(read_params(Numbers, request(f"name=a&{query}")), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "query",
    [
        "fps=0", "fps=-1", "fps=2.5", "fps=nan", "fps=", "fps=%20", "fps=many", "batch_size=1e400", "again=perhaps",
        "chunk_duration=nan", "chunk_duration=inf", "chunk_duration=1e400", "chunk_duration=",
    ],
)  # fmt: skip
def test_what_is_no_number_is_told_with_its_name(query):
    with pytest.raises(Invalid) as raised:
        read_params(Numbers, request(f"name=a&{query}"))
    status, body = sent(from_server_error(request(), raised.value), request())
    assert status == 422 and body.keys() == {"detail"}
    (item,) = body["detail"]
    assert item["loc"] == ["query", query.partition("=")[0]] and item["msg"] and item["type"]


@pytest.mark.parametrize(
    ("asked", "served"), [(1, 10), (10, 10), (12, 10), (13, 15), (24, 25), (28, 30), (60, 30), (10**30, 30)]
)
def test_the_nearest_rate_is_served(asked, served):
    assert nearest_rate(asked) == served


def test_of_two_rates_as_near_the_higher_one():
    assert [nearest_rate(fps) for fps in range(10, 31)] == sorted(nearest_rate(fps) for fps in range(10, 31))


def test_what_is_missing_is_told_alike():
    with pytest.raises(Invalid) as raised:
        read_params(Numbers, request())
    assert raised.value.items[0]["loc"] == missing("query", "name").items[0]["loc"] == ["query", "name"]
    assert raised.value.items[0]["type"] == missing("query", "name").items[0]["type"] == "missing"


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"name": 1}', b'{"name": "\\ud800"}', b"\xff\xfe"])
def test_json_that_is_none(body):
    with pytest.raises(Invalid) as raised:
        parse_json(Numbers, body)
    assert raised.value.items[0]["loc"][0] == "body"  # type: ignore[index]


def test_ids_have_the_originals_shapes():
    assert re.fullmatch(r"gen_[0-9a-f]{8}", new_id("gen_"))
    assert REQUEST_ID.fullmatch(new_id("avatar_5a584c8b-512f.B_req_"))
    assert REQUEST_ID.fullmatch(new_id("nova_webrtc_"))


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0", "a\n", "é", "a b", "a" * 129, "../a"])
def test_names_that_are_paths_or_would_need_escaping_are_none(name):
    assert not AVATAR_ID.fullmatch(name)
    assert not REQUEST_ID.fullmatch(f"{name}_req_01234567")


@pytest.mark.parametrize("name", ["nova", "a", "A.b-c_9", "-rf", "a" * 128, "avatar_5a584c8b-512f-4bd1"])
def test_names_that_the_originals_users_have(name):
    assert AVATAR_ID.fullmatch(name) and REQUEST_ID.fullmatch(f"{name}_req_01234567")


def test_errors_say_detail_and_nothing_else(caplog):
    busy = from_server_error(request(), TooMany("busy", retry_after_s=7))
    assert sent(busy, request()) == (429, {"detail": "busy"}) and busy.headers["Retry-After"] == "7"
    assert sent(from_framework(request(), NotFoundException()), request()) == (404, {"detail": "Not Found"})
    assert sent(busy, request(method="HEAD")) == (429, None)
    ours = from_server_error(request(), ServerError("the secret inside"))
    assert sent(ours, request()) == (500, {"detail": "Internal Server Error"})
    assert "failed" in caplog.text
