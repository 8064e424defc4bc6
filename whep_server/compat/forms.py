"""Forms of the original server: one file under its own name, scalars beside it in any order.

``read_form`` keeps the file on disk until the block is left, because a scalar may come after it.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Final

from multipart import (  # type: ignore[import-untyped]  # has no py.typed
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from whep_server.compat.dialect import missing
from whep_server.errors import BadRequest, TooLarge
from whep_server.web.bodies import PIECE_BYTES, HttpRequest, Upload, media_type

MAX_PARTS: Final = 32
MAX_SCALAR_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class FormFile:
    """A file that came with a form; on disk, without a name there."""

    filename: str
    content: IO[bytes]
    size: int = 0

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
async def read_form(request: HttpRequest, *, limit: int, stall_s: float) -> AsyncIterator[Form]:
    """The form in a request's body. Files of one name replace each other.

    Errors: TooLarge, TooSlow, UploadBroken, BadRequest where it is not a form. Without any body the form is empty.
    """
    form = Form()
    try:
        content_type = request.headers.get("content-type")
        if media_type(content_type) == "multipart/form-data":
            boundary = parse_options_header(content_type)[1].get("boundary", "")
            if not boundary:
                raise BadRequest("multipart/form-data without a boundary")
            await _fill(form, Upload(request, limit=limit, stall_s=stall_s), boundary)
        yield form
    finally:
        for each in form.files.values():
            each.content.close()


async def _fill(form: Form, upload: Upload, boundary: str) -> None:
    into: FormFile | None = None
    name, scalar = "", bytearray()
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_PARTS) as parser:
            async for piece in upload.pieces():
                for event in parser.parse(piece) if piece else ():
                    if isinstance(event, MultipartSegment):
                        into, name, scalar = _begin(form, event), event.name, bytearray()
                    elif not event:
                        if into is None:
                            form.scalars[name] = scalar.decode("utf-8", "replace")
                    elif into is not None:
                        into.size += len(event)
                        await asyncio.to_thread(into.content.write, bytes(event))
                    else:
                        scalar += event
                        if len(scalar) > MAX_SCALAR_BYTES:
                            raise TooLarge(f"a field of the form has more than {MAX_SCALAR_BYTES} bytes")
    except MultipartError as error:
        raise BadRequest(f"There was an error parsing the body: {error}") from error


def _begin(form: Form, segment: MultipartSegment) -> FormFile | None:
    if segment.filename is None:
        return None
    replaced = form.files.get(segment.name)
    if replaced is not None:
        replaced.content.close()
    # no name on disk, so that nothing stays behind whatever happens
    opened = form.files[segment.name] = FormFile(segment.filename, tempfile.TemporaryFile())  # noqa: SIM115  closed with the form
    return opened
