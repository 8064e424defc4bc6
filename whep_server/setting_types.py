"""What settings may be: how each kind is written, and what is wrong with a value, in words that never quote it."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from whep_server.signaling import media_addresses
from whep_server.signaling.tokens import parse_secrets
from whep_server.signaling.web_origins import origins

BREAKS_HEADERS: Final = frozenset(' <>"\\,;')
"""Naive players cut ``Link`` headers at commas and semicolons."""
ICE_SCHEMES: Final = ("stun:", "stuns:", "turn:", "turns:")


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


def _port(value: object) -> object:
    """Empty as not said."""
    return None if value == "" else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[Listed, AfterValidator(origins)]
Interfaces = Annotated[Listed, AfterValidator(media_addresses.interfaces)]
PublicAddresses = Annotated[Listed, AfterValidator(media_addresses.public_addresses)]
"""No names: they would be looked up once, and be wrong later."""
IceUrls = Annotated[Listed, AfterValidator(_ice_urls)]
PortRange = Annotated[str, AfterValidator(_in_order)]
UdpPort = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(_port)]
TurnName = Annotated[str, AfterValidator(_credential)]
TurnPassword = Annotated[SecretStr, AfterValidator(_secret_credential)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
TokenSecrets = Annotated[SecretStr, AfterValidator(_token_secrets)]
