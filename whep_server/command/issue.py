"""Sign a token for whoever is to watch, speak or publish."""

import time
from collections.abc import Iterable

from whep_server.settings import Settings
from whep_server.signaling.tokens import Grant, Scope, parse_secrets, sign


class NoSecretError(Exception):
    """There is nothing to sign with."""


def signed(settings: Settings, scopes: Iterable[Scope], stream: str, minutes: float) -> str:
    """A token that is good from now on. Errors: NoSecretError; ValueError for what cannot be a stream."""
    secrets = parse_secrets(settings.token_secrets.get_secret_value())
    if not secrets:
        raise NoSecretError(
            "there is no secret to sign with; the server and this command need the same one:\n"
            "export WHEP_AVATAR_TOKEN_SECRETS=$(openssl rand -hex 32)"
        )
    return sign(secrets[0], Grant(frozenset(scopes), stream), round(time.time() + 60 * minutes))
