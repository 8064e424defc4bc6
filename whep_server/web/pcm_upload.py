"""Speech that is streamed in while it is made, for clients that have no WebSocket: ``POST /streams/{stream}/pcm``.

The body is samples, signed 16 bit, interleaved. ``audio/L16`` is big endian (RFC 2586 section 3, RFC 3551 section
4.5.11), ``audio/pcm`` little. It is spoken while it arrives, and read no faster than it is spoken. A body that stops or
breaks off is spoken as far as it came.
"""

from array import array
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Final

import msgspec
import pydantic
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from multipart import parse_options_header  # type: ignore[import-untyped]  # has no py.typed

from whep_server.errors import BadRequest, NotSpeech, UnsupportedType
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.on_air import Config, Live, PcmSpeech
from whep_server.web.pcm_messages import MAX_CHANNELS, MAX_HZ, MAX_START_MS, MIN_HZ, MIN_START_MS, PIECE_BYTES
from whep_server.web.pcm_reader import PcmFormat
from whep_server.web.replies import json_reply

L16: Final = "audio/l16"
NATIVE: Final = frozenset({"audio/pcm", "application/octet-stream", "application/x-www-form-urlencoded", ""})
"""Little endian. The last two are what tools say who were not told what they send: curl, and most libraries."""


class Streamed(msgspec.Struct, frozen=True):
    """The reply to speech that was streamed in: all of it is on its way."""

    utterance: str
    seconds: float


class PcmParameters(pydantic.BaseModel):
    """What the samples are; the parameters of ``Content-Type`` come first."""

    sample_rate: int = pydantic.Field(ge=MIN_HZ, le=MAX_HZ, description="Hz; also `rate` of Content-Type")
    channels: int = pydantic.Field(1, ge=1, le=MAX_CHANNELS, description="Also `channels` of Content-Type")
    start_ms: int | None = pydantic.Field(
        None,
        ge=MIN_START_MS,
        le=MAX_START_MS,
        description="So much is there before it is spoken; else what its jitter asks for",
    )


def read_parameters(content_type: str | None, query: Mapping[str, str]) -> tuple[PcmParameters, bool]:
    """What a body holds, and whether it is big endian. Errors: UnsupportedType, BadRequest."""
    kind, given = parse_options_header(content_type or "")
    kind = kind.lower()
    if kind != L16 and kind not in NATIVE:
        raise UnsupportedType("samples are audio/L16 (big endian) or audio/pcm (little endian); files go to …/speech")
    named = {"sample_rate": given.get("rate"), "channels": given.get("channels")}
    try:
        merged = {**query, **{name: value for name, value in named.items() if value is not None}}
        return PcmParameters.model_validate(merged), kind == L16
    except pydantic.ValidationError as error:
        wrong = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise BadRequest("; ".join(wrong)) from None


class SampleFrames:
    """Whole samples out of pieces that are cut anywhere, as little endian. Pure."""

    def __init__(self, form: PcmFormat, *, big_endian: bool) -> None:
        self._form, self._big_endian = form, big_endian
        self.left = b""
        """The beginning of a sample whose end has not come."""
        self.size = 0
        """Units: bytes of whole samples."""

    @property
    def seconds(self) -> float:
        """Their length."""
        return self.size / self._form.frame_bytes / self._form.sample_rate

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Those that are whole by now, in pieces of a bounded size."""
        data = self.left + data
        whole = len(data) - len(data) % self._form.frame_bytes
        self.left = data[whole:]
        self.size += whole
        for start in range(0, whole, PIECE_BYTES):
            yield self._native(data[start : min(whole, start + PIECE_BYTES)])

    def _native(self, data: bytes) -> bytes:
        if not self._big_endian:
            return data
        samples = array("h", data)
        samples.byteswap()
        return samples.tobytes()


@post(
    "/streams/{stream:str}/pcm",
    status_code=202,
    opt=describe(Operation(STREAMS, params=PcmParameters, body=("audio/L16", "audio/pcm"), reply=Streamed)),
)
async def speak_pcm(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """Samples, spoken while they arrive and read no faster; answered when all are on their way.

    Errors: 400, 401, 404, 408, 409, 413, 415, 422, 429, 503.
    """
    target = live.stream(stream)
    given, big_endian = read_parameters(request.headers.get("content-type"), request.query_params)
    upload = Upload(request, limit=config.max_upload_bytes, stall_s=config.upload_stall_s)
    if request.headers.get("content-length") == "0":
        raise NotSpeech("the body is empty")
    frames = SampleFrames(PcmFormat(given.sample_rate, given.channels), big_endian=big_endian)
    speech = target.open_pcm(given.sample_rate, given.channels, start_ms=given.start_ms)
    await hand_on(upload, frames, speech)
    return json_reply(request, Streamed(speech.id, round(frames.seconds, 3)), 202)


async def hand_on(upload: Upload, frames: SampleFrames, speech: PcmSpeech) -> None:
    """All of it; where it breaks off, it ends with what there is. Errors: those of both; NotSpeech, BadRequest."""
    try:
        async with aclosing(upload.pieces()) as pieces:
            async for piece in pieces:
                for samples in frames.feed(piece):
                    await speech.append(samples)
        speech.commit()
    finally:
        speech.break_off("the request broke off")  # which changes nothing where it is committed
    if frames.left:
        raise BadRequest("the last sample is cut in two; the others are spoken")


ROUTES = [speak_pcm]
