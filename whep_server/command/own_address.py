"""Where a server listens, as a client on its own machine writes it."""

from typing import Final

from whep_server.settings import Settings

EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that a server listens on and nobody can connect to, with what to connect to."""


def origin(host: str, port: int, *, tls: bool) -> str:
    """``http://HOST:PORT``, with an address that a client on this machine can open."""
    shown = EVERYWHERE.get(host, host)
    return f"{'https' if tls else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}"


def own_origin(settings: Settings) -> str:
    """That of a server with these settings."""
    return origin(settings.host, settings.port, tls=bool(settings.tls_certificate))
