"""Forms of the original server: one file under its own name, scalars beside it in any order.

``read_form`` keeps files on disk until the block is left, because a scalar may come after them. ``file_pieces`` hands
on a file while it arrives, where no scalar matters.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final
from urllib.parse import parse_qsl

from multipart import MultipartSegment  # type: ignore[import-untyped]  # has no py.typed

from whep_server.compat.dialect import missing
from whep_server.errors import BadRequest, TooLarge, Unavailable
from whep_server.web.bodies import (
    PIECE_BYTES,
    HttpRequest,
    MultipartEvents,
    Upload,
    boundary_of,
    media_type,
    multipart_events,
)

logger = logging.getLogger(__name__)

MULTIPART: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"
MAX_PARTS: Final = 32
UPLOADS: Final = "uploads"
"""The folder, in the cache, of files that another process reads."""
PREFIX: Final = "upload-"
LEFT_OVER_S: Final = 24 * 3600.0
MAX_SCALAR_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class FormFile:
    """A file that came with a form, on disk. What the client calls it counts for nothing."""

    content: IO[bytes]

    @property
    def path(self) -> Path:
        """Where it is, if ``read_form`` was given a folder."""
        return Path(self.content.name)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes, read in a thread."""
        await asyncio.to_thread(self.content.seek, 0)
        while piece := await asyncio.to_thread(self.content.read, PIECE_BYTES):
            yield piece


@dataclass(slots=True)
class Form:
    """A form that was read."""

    scalars: dict[str, str] = field(default_factory=dict)
    files: dict[str, FormFile] = field(default_factory=dict)

    def file(self, name: str) -> FormFile:
        """The file of that name. Errors: Invalid."""
        if name not in self.files:
            raise missing("body", name)
        return self.files[name]


@asynccontextmanager
async def read_form(
    request: HttpRequest, *, limit: int, stall_s: float, folder: Path | None = None
) -> AsyncIterator[Form]:
    """The form in a request's body. Files of one name replace each other.

    With a ``folder`` its files have paths there, so that another process can read them; else they have no name, and
    nothing stays behind whatever happens.

    Errors: TooLarge, TooSlow, UploadBroken, BadRequest where it is not a form, Unavailable where the disk is full.
    Without any body the form is empty.
    """
    form = Form()
    kind = media_type(request.headers.get("content-type"))
    try:
        if kind == MULTIPART:
            await _store(form, Upload(request, limit=limit, stall_s=stall_s), request, folder)
        elif kind == URLENCODED:
            body = await Upload(request, limit=min(limit, MAX_SCALAR_BYTES), stall_s=stall_s).read()
            form.scalars = _scalars(body)
        yield form
    finally:
        for each in form.files.values():
            with suppress(OSError):  # what could not be written cannot be at the end, either
                await asyncio.to_thread(each.content.close)


async def _store(form: Form, upload: Upload, request: HttpRequest, folder: Path | None) -> None:
    try:
        await _fill(form, upload, request, folder)
    except OSError as error:
        logger.exception("an upload could not be stored")
        raise Unavailable(f"the upload cannot be stored: {error.strerror}") from error


async def file_pieces(request: HttpRequest, name: str, *, limit: int, stall_s: float) -> AsyncGenerator[bytes, None]:
    """The bytes of the first file of that name, as they arrive; all else in the form is passed over.

    Errors: those of ``read_form``; Invalid at the end of a form that has no such file.
    """
    found = inside = False
    if media_type(request.headers.get("content-type")) == MULTIPART:
        async with aclosing(_events(Upload(request, limit=limit, stall_s=stall_s), request)) as events:
            async for event in events:
                if isinstance(event, MultipartSegment):
                    inside = not found and event.name == name and event.filename is not None
                    found = found or inside
                elif event and inside:
                    yield bytes(event)
    if not found:
        raise missing("body", name)


def _events(upload: Upload, request: HttpRequest) -> MultipartEvents:
    """What a form holds."""
    boundary = boundary_of(request.headers.get("content-type"))
    return multipart_events(upload, boundary, MAX_PARTS, "There was an error parsing the body")


async def _fill(form: Form, upload: Upload, request: HttpRequest, folder: Path | None) -> None:
    into: FormFile | None = None
    name, scalar = "", bytearray()
    async with aclosing(_events(upload, request)) as events:
        async for event in events:
            if isinstance(event, MultipartSegment):
                name, scalar = event.name, bytearray()
                into = None if event.filename is None else await _open_file(form, event, folder)
            elif event is None:
                if into is None:
                    form.scalars[name] = scalar.decode("utf-8", "replace")
            elif into is not None:
                await asyncio.to_thread(into.content.write, bytes(event))
            else:
                scalar += event
                if len(scalar) > MAX_SCALAR_BYTES:
                    raise TooLarge(f"a field of the form has more than {MAX_SCALAR_BYTES} bytes")
    for each in form.files.values():  # who opens it by its path sees all of it
        await asyncio.to_thread(each.content.flush)


async def _open_file(form: Form, segment: MultipartSegment, folder: Path | None) -> FormFile:
    replaced = form.files.pop(segment.name, None)
    if replaced is not None:
        await asyncio.to_thread(replaced.content.close)
    opened = form.files[segment.name] = FormFile(await asyncio.to_thread(_new_file, folder))
    return opened


def forget_leftovers(folder: Path) -> None:
    """Delete uploads that a crash left behind. Not those of today: another server may use the folder, too."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                path.unlink()


def _new_file(folder: Path | None) -> IO[bytes]:
    if folder is None:
        return tempfile.TemporaryFile()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.NamedTemporaryFile(dir=folder, prefix=PREFIX)


def _scalars(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_PARTS))
    except ValueError as error:
        raise BadRequest(f"more than {MAX_PARTS} fields in the form") from error
