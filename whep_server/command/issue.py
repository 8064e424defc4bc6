"""Sign a token for whoever is to watch, speak or publish."""

import time
from collections.abc import Iterable

from whep_server.command.own_address import own_origin
from whep_server.settings import Settings
from whep_server.signaling.tokens import EVERY, Grant, Scope, parse_secrets, sign


class NoSecretError(Exception):
    """There is nothing to sign with."""


def signed(settings: Settings, scopes: Iterable[Scope], stream: str, minutes: float) -> str:
    """A token that is good from now on. Errors: NoSecretError; ValueError for what cannot be a stream."""
    secrets = parse_secrets(settings.token_secrets.get_secret_value())
    if not secrets:
        raise NoSecretError(
            "there is no secret to sign with: this command and the server need the same WHEP_AVATAR_TOKEN_SECRETS, or\n"
            "token_secrets of the same file, named by WHEP_AVATAR_CONFIG. A new one is made by: openssl rand -hex 32"
        )
    return sign(secrets[0], Grant(frozenset(scopes), stream), round(time.time() + 60 * minutes))


def link(settings: Settings, stream: str, token: str) -> str:
    """The player's address, under which clients come as far as the settings know, with the token in its fragment.

    Errors: ValueError for a token of more than one stream: each has a player of its own.
    """
    if EVERY in stream:
        raise ValueError("a link is to the player of one stream")
    base = settings.public_url or f"{own_origin(settings)}{settings.public_base_path}"
    return f"{base}/player/{stream}#token={token}"
