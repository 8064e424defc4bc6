"""Bearer tokens: what they allow, on which streams, for how long. Pure; the time comes as an argument.

A token is a JSON Web Token (RFC 7519), signed with a secret that its maker and this server share (HS256), or one of the
fixed tokens of the settings. Several secrets may be in use, so that one can be replaced without a moment in which good
tokens are refused: the first signs, all are believed, a token's ``kid`` names its own.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final

import jwt
import msgspec

from whep_server.errors import Forbidden, Unauthorized

ALGORITHM: Final = "HS256"
"""The only one that is believed, whatever a token says of itself (RFC 8725 section 3.1)."""
LEEWAY_S: Final = 10.0
"""How far the clocks of two machines may be apart (RFC 7519 section 4.1.4)."""
SECRET_BYTES: Final = 32
"""The least that HS256 takes (RFC 7518 section 3.2)."""
MAX_TOKEN_CHARS: Final = 4096
LATEST_S: Final = 253_402_300_800
"""The year 10000: what is later is milliseconds in the place of seconds, or no time at all."""
EVERY: Final = "*"
_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{0,64}\*?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)


class Scope(StrEnum):
    """What a token allows; ``docs/security.md`` says on which routes."""

    WATCH = "watch"
    SPEAK = "speak"
    """To make it speak and fall silent."""
    PUBLISH = "publish"
    """To be its voice over WHIP."""
    CREATE = "create"
    """To put an avatar on the air and take it off."""
    ADMIN = "admin"
    """All of these, and what concerns the server: avatars, measurements."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token allows."""

    scopes: frozenset[Scope]
    stream: str
    """A stream's name, or the beginning of names and ``*``."""
    until_s: float | None = field(default=None, compare=False)
    """When it ends, clocks that are apart allowed for; None: never. Units: seconds since 1970."""

    def reaches(self, stream: str | None) -> bool:
        """Whether it is for a stream; None: for all of them."""
        if self.stream.endswith(EVERY):
            return self.stream == EVERY if stream is None else stream.startswith(self.stream.removesuffix(EVERY))
        return stream == self.stream

    def holds(self, scope: Scope) -> bool:
        """Whether it allows something, on its streams."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def check(self, scope: Scope, stream: str | None, *, anywhere: bool = False) -> None:
        """``stream`` None: all of them; ``anywhere``: whichever it is for.

        Errors: Forbidden (403) where it does not allow this, or not there.
        """
        if not self.holds(scope):
            raise Forbidden(f"the token does not allow this: it needs the scope {scope}", scope=scope)
        if not anywhere and not self.reaches(stream):
            for_whom = "one stream, and this needs one for all" if stream is None else "another stream"
            raise Forbidden(f"the token is for {for_whom}", scope=scope)


@dataclass(frozen=True, slots=True)
class Secret:
    """One that signs tokens. ``name`` is their ``kid``; empty for none."""

    name: str
    key: str


class Claims(msgspec.Struct, frozen=True):
    """What is read of a token (RFC 7519 section 4.1; ``scope`` as in RFC 8693 section 4.2)."""

    exp: Annotated[float, msgspec.Meta(ge=0, le=LATEST_S)]
    stream: str
    scope: str
    nbf: Annotated[float, msgspec.Meta(ge=0, le=LATEST_S)] = 0


def is_pattern(stream: str) -> bool:
    """Whether a token may be bound to it: a stream's name, ``*``, or the beginning of names and ``*``."""
    return bool(stream) and _PATTERN.fullmatch(stream) is not None


def parse_secrets(text: str) -> tuple[Secret, ...]:
    """Secrets as they are configured: ``NAME:SECRET`` or ``SECRET``, with commas between.

    Errors: ValueError, which quotes nothing of them.
    """
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, colon, key = part.rpartition(":")
        if colon and not _NAME.fullmatch(name):
            raise ValueError("a secret's name must be 1 to 32 letters, digits, dots, hyphens and underscores")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("a secret must be printable ASCII without spaces")
        if len(key) < SECRET_BYTES:
            raise ValueError(
                f"a secret must have {SECRET_BYTES} characters or more, as `openssl rand -hex 32` makes them"
            )
        found.append(Secret(name, key))
    if len({secret.name for secret in found}) != len(found):
        raise ValueError("each secret needs a name of its own, as in NAME:SECRET,OTHER:SECRET")
    return tuple(found)


def sign(secret: Secret, grant: Grant, expires_s: int, not_before_s: int | None = None) -> str:
    """A token. Units: seconds since 1970. Errors: ValueError for a stream that none can be bound to."""
    if not is_pattern(grant.stream):
        raise ValueError("the stream must be a name, *, or the beginning of names and *")
    claims: dict[str, object] = {"scope": " ".join(sorted(grant.scopes)), "stream": grant.stream, "exp": expires_s}
    if not_before_s is not None:
        claims["nbf"] = not_before_s
    return jwt.encode(claims, secret.key, ALGORITHM, headers={"kid": secret.name} if secret.name else None)


class Keyring:
    """All that a server believes."""

    def __init__(self, secrets: Sequence[Secret], fixed: Iterable[tuple[str, Grant]] = ()) -> None:
        """``fixed``: tokens that are compared as they are; empty ones are none."""
        self._secrets = tuple(secrets)
        self._fixed = [(token.encode(), grant) for token, grant in fixed if token]

    def read(self, token: str, now_s: float, *, expired_too: bool = False) -> Grant:
        """What a token allows. Units: seconds since 1970.

        Errors: Unauthorized (401), which tells nothing of the token but what its holder can see in it.
        """
        given = token.encode("utf-8", "surrogateescape")
        found = None
        for known, grant in self._fixed:  # all of them, so that no time tells which
            if hmac.compare_digest(given, known):
                found = found or grant
        if found is not None:
            return found
        claims = self._claims(token)
        if now_s < claims.nbf - LEEWAY_S:
            raise Unauthorized("the token is not valid yet", wrong=True)
        if not (expired_too or now_s < claims.exp + LEEWAY_S):
            raise Unauthorized("the token has expired", wrong=True)
        if not is_pattern(claims.stream):
            raise Unauthorized("the token is for no stream that could be", wrong=True)
        scopes = frozenset(Scope(each) for each in claims.scope.split() if each in set(Scope))
        return Grant(scopes, claims.stream, claims.exp + LEEWAY_S)

    def _claims(self, token: str) -> Claims:
        if len(token) <= MAX_TOKEN_CHARS:
            for secret in self._named(token):
                try:
                    # times are looked at by who knows what time it is; one that names an audience is for others
                    options: jwt.types.Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
                    claims = jwt.decode(token, secret.key, [ALGORITHM], options=options)
                    return msgspec.convert(claims, Claims)
                except msgspec.ValidationError as error:  # it is signed: whoever made it is told what is wrong with it
                    raise Unauthorized(f"the token's claims are wrong: {_quotable(error)}", wrong=True) from None
                except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                    continue
        raise Unauthorized("the token is not the right one", wrong=True)

    def _named(self, token: str) -> Sequence[Secret]:
        """The secret that a token names; all where it names none."""
        try:
            name = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # the last: brackets within brackets
            return ()
        return self._secrets if name is None else [secret for secret in self._secrets if secret.name == name]


def _quotable(error: Exception) -> str:
    """What may stand in a header's quoted string."""
    return str(error).replace("`", "").replace('"', "").replace("\\", "")
