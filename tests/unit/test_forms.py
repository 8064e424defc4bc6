"""Forms: scalars and files in any order, files on disk or passed on, and what is none."""

import os
import resource
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from litestar import Request

from whep_server.compat.dialect import Invalid
from whep_server.compat.forms import LEFT_OVER_S, MAX_SCALAR_BYTES, file_pieces, forget_leftovers, read_form
from whep_server.errors import BadRequest, ServerError, TooLarge, Unavailable, UploadBroken

BOUNDARY = "multipart/form-data; boundary=x"
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="avatar_id"\r\n\r\nnova\r\n'
    b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="../../evil.wav"\r\n\r\nfirst half,second\r\n'
    b'--x\r\nContent-Disposition: form-data; name="other"; filename="b"\r\n\r\nnothing\r\n'
    b'--x\r\nContent-Disposition: form-data; name="fps"\r\n\r\n25\r\n--x--\r\n'
)


def asked(
    body: bytes | Sequence[bytes], content_type: str | None = BOUNDARY, *, gone: bool = False
) -> Request[Any, Any, Any]:
    """A request whose body comes in pieces; the client may be gone after the last of them."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = gone

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "state": {}}
    return Request(scope, receive=receive)  # type: ignore[arg-type]


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("step", [1, 7, len(FORM)])
async def test_scalars_before_and_after_files(step):
    body = [FORM[at : at + step] for at in range(0, len(FORM), step)]
    async with read_form(asked(body), limit=len(FORM), stall_s=1) as form:
        assert form.scalars == {"avatar_id": "nova", "fps": "25"}
        assert await whole(form.file("audio_file").pieces()) == b"first half,second"
        with pytest.raises(Invalid) as raised:
            form.file("video_file")
        assert raised.value.items[0]["loc"] == ["body", "video_file"]


async def test_a_full_disk_is_not_the_clients_fault(tmp_path: Path, caplog):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(Unavailable, match="cannot be stored: File too large"):
            async with read_form(asked([FORM]), limit=len(FORM), stall_s=1, folder=tmp_path):
                raise AssertionError("there is a form")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left_in(tmp_path) == [] and "could not be stored" in caplog.text


async def test_files_have_paths_where_another_process_shall_read_them(tmp_path: Path):
    folder = tmp_path / "uploads"
    async with read_form(asked(FORM), limit=len(FORM), stall_s=1, folder=folder) as form:
        path = form.file("audio_file").path
        assert path.parent == folder and path.read_bytes() == b"first half,second"
    assert left_in(folder) == []
    with pytest.raises(TooLarge):
        async with read_form(asked(FORM), limit=len(FORM) - 1, stall_s=1, folder=folder):
            raise AssertionError("read")
    assert left_in(folder) == []


async def test_fields_alone_may_come_without_parts():
    urlencoded = "application/x-www-form-urlencoded; charset=utf-8"
    async with read_form(asked(b"avatar_id=a+b&fps=&fps=%32%30", urlencoded), limit=100, stall_s=1) as form:
        assert form.scalars == {"avatar_id": "a b", "fps": "20"} and form.files == {}
    for body in (b"a=1&" * 40, b"a" * (MAX_SCALAR_BYTES + 1)):
        with pytest.raises((BadRequest, TooLarge)):
            async with read_form(asked(body, urlencoded), limit=1 << 20, stall_s=1):
                raise AssertionError("read")


@pytest.mark.parametrize("content_type", [None, "application/json", "audio/wav", "text/plain"])
async def test_what_is_no_form_is_an_empty_one(content_type):
    async with read_form(asked(b"{}", content_type), limit=100, stall_s=1) as form:
        assert (form.scalars, form.files) == ({}, {})


async def test_the_last_of_two_files_counts_where_they_are_kept():
    twice = FORM.replace(b'"other"', b'"audio_file"')
    async with read_form(asked(twice), limit=len(twice), stall_s=1) as form:
        assert await whole(form.file("audio_file").pieces()) == b"nothing"


BROKEN: dict[str, tuple[bytes | list[bytes], str, type[ServerError]]] = {
    "no boundary": (FORM, "multipart/form-data", BadRequest),
    "another boundary": (FORM, "multipart/form-data; boundary=y", BadRequest),
    "cut short": (FORM[:120], BOUNDARY, BadRequest),
    "no form": (b"no form at all", BOUNDARY, BadRequest),
    "nothing": (b"", BOUNDARY, BadRequest),
    "a long field": (FORM.replace(b"nova", b"n" * (MAX_SCALAR_BYTES + 1)), BOUNDARY, TooLarge),
    "many parts": (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 40 + b"--x--\r\n",
        BOUNDARY,
        BadRequest,
    ),
}


@pytest.mark.parametrize(("body", "content_type", "error"), BROKEN.values(), ids=BROKEN.keys())
async def test_forms_that_are_broken(body, content_type, error):
    with pytest.raises(error):
        async with read_form(asked(body, content_type), limit=1 << 20, stall_s=1):
            raise AssertionError("read")


async def test_a_file_is_passed_on_while_it_arrives():
    cut = FORM.index(b"second")
    pieces = file_pieces(asked([FORM[:cut], FORM[cut:]]), "audio_file", limit=len(FORM), stall_s=1)
    assert (await anext(pieces)).startswith(b"first")
    assert (await whole(pieces)).endswith(b"second")


async def test_of_two_files_passed_on_the_first_counts():
    twice = FORM.replace(b'"other"', b'"audio_file"')
    assert await whole(file_pieces(asked(twice), "audio_file", limit=len(twice), stall_s=1)) == b"first half,second"


@pytest.mark.parametrize("content_type", [BOUNDARY, "audio/wav", None])
async def test_a_file_that_is_missing_is_told(content_type):
    with pytest.raises(Invalid) as raised:
        await whole(file_pieces(asked(FORM, content_type), "speech", limit=len(FORM), stall_s=1))
    assert raised.value.items[0]["loc"] == ["body", "speech"]


async def test_a_field_is_no_file():
    with pytest.raises(Invalid):
        await whole(file_pieces(asked(FORM), "avatar_id", limit=len(FORM), stall_s=1))


async def test_a_client_that_goes_away_while_it_uploads(tmp_path: Path):
    with pytest.raises(UploadBroken):
        await whole(file_pieces(asked(FORM[:200], gone=True), "audio_file", limit=1000, stall_s=1))
    with pytest.raises(UploadBroken):
        async with read_form(asked(FORM[:200], gone=True), limit=1000, stall_s=1, folder=tmp_path):
            raise AssertionError("read")
    assert left_in(tmp_path) == []


def test_what_a_crash_left_behind_is_deleted_when_it_is_old(tmp_path: Path):
    for name, age_s in (("upload-old", 2 * LEFT_OVER_S), ("upload-new", 60), ("other", 2 * LEFT_OVER_S)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    forget_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"upload-new", "other"}
    forget_leftovers(tmp_path / "nowhere")
