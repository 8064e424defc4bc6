"""The client of an OpenAI-compatible speech endpoint, ``POST {base}/audio/speech``: one streamed request a text.

PCM is asked for: by the contract 24 kHz, mono. Some servers answer WAV all the same, and proxies label whatever they
pass on ``audio/mpeg``; so the first bytes tell what it is. Only the operator says where the endpoint is. What it says
of a refusal is passed on, its key never.
"""

from email.message import Message
from typing import Final

import httpx
import msgspec

from whep_server.errors import ServerError, SynthesisFailed, Unavailable
from whep_server.settings import Settings
from whep_server.web.pcm_reader import RATES, PcmFormat
from whep_server.web.synthesis import Samples, Sound, Words

NAME: Final = "the speech endpoint"
DEFAULT_VOICE: Final = "alloy"
RATE_HZ: Final = 24_000
CONNECT_S: Final = 5.0
REFUSAL_BYTES: Final = 8 * 1024
REFUSAL_CHARS: Final = 200
BUSY: Final = frozenset({408, 425, 429, 503, 504})


class SpeechEndpoint:
    """Reads text by a server of the operator's choice."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._url = f"{settings.tts_url.rstrip('/')}/audio/speech"
        self._key = settings.tts_key.get_secret_value()
        self._model, self._voice = settings.tts_model, settings.tts_voice or DEFAULT_VOICE
        self._silence_s = settings.tts_timeout_s
        self._client = client

    async def read(self, words: Words) -> Sound:
        """Its answer as it comes. Errors: SynthesisFailed, Unavailable."""
        timeout = httpx.Timeout(self._silence_s, connect=min(CONNECT_S, self._silence_s))
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        request = self._client.stream("POST", self._url, json=self._body(words), headers=headers, timeout=timeout)
        try:
            async with request as response:
                await self._check(response)
                samples = Samples(NAME, bare_format(response.headers.get("content-type", "")))
                async for piece in response.aiter_bytes():
                    for pcm in samples.of(piece):
                        yield pcm
                samples.finish()
        except httpx.TransportError as error:
            raise self._explained(error) from error

    def _body(self, words: Words) -> dict[str, str | float]:
        body: dict[str, str | float] = {
            "model": words.model or self._model,
            "voice": words.voice or self._voice,
            "input": words.text,
            "response_format": "pcm",
        }
        if words.speed is not None:
            body["speed"] = words.speed
        if words.instructions is not None:  # older models refuse a member that they do not know
            body["instructions"] = words.instructions
        return body

    async def _check(self, response: httpx.Response) -> None:
        """Errors: SynthesisFailed or Unavailable where the answer is not sound."""
        status = response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):  # what it says may hold a part of the key
            raise SynthesisFailed(f"{NAME} does not take our key ({status})")
        if status in BUSY:
            raise Unavailable(f"{NAME} is busy ({status})")
        if status != httpx.codes.OK:
            said = reason_in(await first_bytes(response))
            shown = f": {said}" if said and not (self._key and self._key in said) else ""
            raise SynthesisFailed(f"{NAME} answers {status}{shown}")

    def _explained(self, error: httpx.TransportError) -> ServerError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Unavailable(f"{NAME} cannot be reached")
        if isinstance(error, httpx.TimeoutException):
            return Unavailable(f"{NAME} was silent for {self._silence_s:g} s")
        return SynthesisFailed(f"{NAME} broke off")


def bare_format(content_type: str) -> PcmFormat | None:
    """What bare samples of that type are; None where it says WAV. Errors: SynthesisFailed where it is not sound."""
    header = Message()
    header["content-type"] = content_type or "application/octet-stream"
    kind = header.get_content_type()
    if not (kind.startswith("audio/") or kind.endswith("/octet-stream")):
        raise SynthesisFailed(f"{NAME} answers {kind}, which is not sound")
    if "wav" in kind:
        return None
    return PcmFormat(_parameter(header, "rate", RATE_HZ, RATES), _parameter(header, "channels", 1, range(1, 3)))


def _parameter(header: Message, name: str, default: int, known: range) -> int:
    text = str(header.get_param(name, default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if number not in known:
        raise SynthesisFailed(f"{NAME} answers sound of {name} {text[:20]!r}")
    return number


async def first_bytes(response: httpx.Response) -> bytes:
    """As much of a refusal's body as is worth looking at."""
    held = b""
    async for piece in response.aiter_bytes():
        held += piece
        if len(held) >= REFUSAL_BYTES:
            break
    return held[:REFUSAL_BYTES]


def reason_in(body: bytes) -> str:
    """What a refusal says: OpenAI's ``error.message``, FastAPI's ``detail``; one short line, or nothing."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    for _ in range(4):
        if isinstance(said, list):
            said = said[0] if said else ""
        elif isinstance(said, dict):
            said = next((said[name] for name in ("error", "message", "detail", "msg") if said.get(name)), "")
    text = "".join(letter if letter.isprintable() else " " for letter in said) if isinstance(said, str) else ""
    return " ".join(text.split())[:REFUSAL_CHARS]
