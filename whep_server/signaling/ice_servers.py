"""Which STUN and TURN servers a peer is told of, with credentials that expire where there is a secret. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from whep_server.signaling.headers import ice_server_link, turn_credentials


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server."""

    url: str
    username: str | None = None
    credential: str | None = None

    def to_link(self) -> str:
        """Its ``Link`` value."""
        return ice_server_link(self.url, self.username, self.credential)


@dataclass(frozen=True, slots=True)
class TurnLogin:
    """How peers log in at the TURN servers."""

    user: str
    password: str
    secret: str = ""
    """Shared with the TURN server: then name and password are made anew for each peer."""
    lifetime_s: int = 0

    def at(self, now_s: float) -> tuple[str, str]:
        """User name and password. Units: seconds since 1970."""
        if self.secret:
            return turn_credentials(self.secret, self.user, int(now_s) + self.lifetime_s)
        return self.user, self.password


def ice_servers(stun: Sequence[str], turn: Sequence[str], login: TurnLogin, now_s: float) -> list[IceServer]:
    """The servers, STUN first."""
    username, credential = login.at(now_s)
    return [IceServer(url) for url in stun] + [IceServer(url, username, credential) for url in turn]
