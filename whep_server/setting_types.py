"""What settings may be: how each kind is written, and what is wrong with a value, in words that never quote it."""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from whep_server.signaling import media_addresses
from whep_server.signaling.tokens import parse_secrets
from whep_server.signaling.web_origins import origins

BREAKS_HEADERS: Final = frozenset(' <>"\\,;')
"""Naive players cut ``Link`` headers at commas and semicolons."""
FRAME_RATES: Final = (10, 15, 20, 25, 30)
"""Those at which pictures and 20 ms audio packets meet often enough (``avatar.messages`` has the same)."""
ICE_SCHEMES: Final = ("stun:", "stuns:", "turn:", "turns:")


class BargeIn(StrEnum):
    """What the voice of a publisher does to speech that is being spoken when it begins."""

    NO = "no"
    """Nothing: it is heard after what was accepted before."""
    SPEECH = "speech"
    """It interrupts that and is spoken itself."""
    LISTEN = "listen"
    """It interrupts that, each time it begins, and is never spoken itself: a microphone before an assistant."""


def shipped(name: str) -> Path:
    """A folder of package data: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).with_name(name)
    return inside if inside.is_dir() else Path(__file__).parents[1] / name


def _listed(value: object) -> object:
    """Comma-separated in the environment, an array in TOML."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _in_order(text: str) -> str:
    """FIRST-LAST, or nothing."""
    media_addresses.port_range(text)
    return text


def _ice_urls(urls: Sequence[str]) -> Sequence[str]:
    """They are written into HTTP headers and SDP: no spaces, quotes or brackets (RFC 7064, RFC 7065)."""
    for url in urls:
        if not url.startswith(ICE_SCHEMES) or set(url) & {*BREAKS_HEADERS, "\r", "\n"}:
            raise ValueError("not a STUN or TURN URL")
    return urls


def _credential(text: str) -> str:
    """It is written into ``Link`` headers."""
    if not text.isascii() or not text.isprintable() or set(text) & BREAKS_HEADERS:
        raise ValueError("must be printable ASCII without spaces, quotes, brackets, commas and semicolons")
    return text


def _secret_credential(value: SecretStr) -> SecretStr:
    _credential(value.get_secret_value())
    return value


def _header_secret(value: SecretStr) -> SecretStr:
    """It is written into a header."""
    key = value.get_secret_value().strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("must be printable ASCII without spaces")
    return SecretStr(key)


def _token_secrets(value: SecretStr) -> SecretStr:
    """They can be read; what is wrong is told without them."""
    parse_secrets(value.get_secret_value())
    return value


def _proxies(addresses: Sequence[str]) -> Sequence[str]:
    """Addresses and networks; names are not what a connection has."""
    for address in addresses:
        try:
            if address != "*":
                ipaddress.ip_network(address)
        except ValueError:
            raise ValueError("must be addresses and networks, as 10.0.0.2 or 10.0.0.0/8, or *") from None
    return addresses


def _frame_rate(fps: int) -> int:
    """Only rates whose frames and audio packets meet on the grid."""
    if fps not in FRAME_RATES:
        raise ValueError(f"must be one of {', '.join(map(str, FRAME_RATES))}")
    return fps


def _port(value: object) -> object:
    """Empty as not said."""
    return None if value == "" else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[Listed, AfterValidator(origins)]
Interfaces = Annotated[Listed, AfterValidator(media_addresses.interfaces)]
PublicAddresses = Annotated[Listed, AfterValidator(media_addresses.public_addresses)]
"""No names: they would be looked up once, and be wrong later."""
Proxies = Annotated[Listed, AfterValidator(_proxies)]
IceUrls = Annotated[Listed, AfterValidator(_ice_urls)]
FrameRate = Annotated[int, AfterValidator(_frame_rate)]
PortRange = Annotated[str, AfterValidator(_in_order)]
UdpPort = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(_port)]
TurnName = Annotated[str, AfterValidator(_credential)]
TurnPassword = Annotated[SecretStr, AfterValidator(_secret_credential)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
TokenSecrets = Annotated[SecretStr, AfterValidator(_token_secrets)]
