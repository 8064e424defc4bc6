"""Text in a request: what is to be read aloud, as plain text or as JSON that also says how.

Control characters are not spoken, and no markup is interpreted: what stands there is read.
"""

import unicodedata
from email.message import Message
from typing import Annotated, Final

import msgspec

from whep_server.errors import BadRequest, NotSpeech, TooLarge, UnsupportedType
from whep_server.settings import Settings
from whep_server.web.bodies import HttpRequest, Upload, media_type
from whep_server.web.synthesis import Words

PLAIN: Final = "text/plain"
JSON: Final = "application/json"
CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
CHAR_BYTES: Final = 12
"""The most that one character takes: two of JSON's escapes."""
BESIDES_BYTES: Final = 64 * 1024
"""Room for what stands in the JSON beside the text."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class TextRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text to be read aloud; what is left out is as the operator has it."""

    text: str
    voice: Name | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4.0)] | None = None
    model: Name | None = None
    instructions: Annotated[str, msgspec.Meta(max_length=4096)] | None = None


def is_text(content_type: str | None) -> bool:
    """Whether such a body holds text to be read; else it is taken for sound."""
    return media_type(content_type) in (PLAIN, JSON)


async def read_words(request: HttpRequest, settings: Settings) -> Words:
    """What a request wants read.

    Errors: those of the upload; BadRequest, UnsupportedType (another charset), NotSpeech (nothing to say), TooLarge.
    """
    content_type = request.headers.get("content-type", "")
    limit = min(settings.max_upload_bytes, CHAR_BYTES * settings.max_text_chars + BESIDES_BYTES)
    body = await Upload(request, limit=limit, stall_s=settings.upload_stall_s).read()
    wanted = parse_json(body) if media_type(content_type) == JSON else TextRequest(decode(body, content_type))
    text = sayable(wanted.text)
    if not text:
        raise NotSpeech("there is no text to be spoken")
    if len(text) > settings.max_text_chars:
        raise TooLarge(f"the text has {len(text)} characters, the limit is {settings.max_text_chars}")
    return Words(text, wanted.voice, wanted.speed, wanted.model, wanted.instructions)


def parse_json(body: bytes) -> TextRequest:
    """Errors: BadRequest, saying which member is wrong."""
    try:
        return msgspec.json.decode(body, type=TextRequest)
    except msgspec.DecodeError as error:  # ValidationError is one too
        raise BadRequest(f"not text to be spoken: {error}") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


def decode(body: bytes, content_type: str) -> str:
    """Errors: BadRequest, UnsupportedType."""
    header = Message()
    header["content-type"] = content_type
    if header.get_content_charset("utf-8") not in CHARSETS:
        raise UnsupportedType("the text must be UTF-8")
    try:
        return body.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


def sayable(text: str) -> str:
    """The text without control characters; its lines stay, as they are pauses."""
    kept = (letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cs") else " " for letter in text)
    return "".join(kept).strip()
