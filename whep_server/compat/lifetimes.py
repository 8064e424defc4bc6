"""The original server's sessions: each is a stream on air under a secret name, and ends when nobody has used it.

Use is a request that names it, an open viewer, an open event stream, a publisher, or speech. The original counted
requests alone and took connected viewers off the air.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from avatar.messages import FRAME_RATES, VideoFormat
from whep_server.compat.announcements import Announcements
from whep_server.compat.candidates import Trickle
from whep_server.errors import NoSuchAvatar, NoSuchSession, NotOnAir, ServerError, Unavailable
from whep_server.settings import Settings
from whep_server.web.on_air import Registry, Session, Stream

logger = logging.getLogger(__name__)

SWEEP_S: Final = 60.0
MOST_OFFERED: Final = 4
MOST_OWNERS: Final = 10_000
"""Requests of which it is remembered whose they were: more than there are files of, of those kept for an hour."""


class Kind(StrEnum):
    """Which family of routes a session belongs to."""

    SSE = "sse"
    WEBRTC = "webrtc"


@dataclass(slots=True)
class Requests:
    """Requests to speak, of sessions and of others: those that run, and how many there ever were."""

    active: set[str] = field(default_factory=set)
    total: int = 0
    owners: dict[str, str] = field(default_factory=dict)
    """The sessions of requests, oldest first; a request without one has none here."""

    def begin(self, request_id: str, session: str | None = None) -> None:
        """One more runs."""
        self.active.add(request_id)
        self.total += 1
        if session is not None:
            self.owners[request_id] = session
            if len(self.owners) > MOST_OWNERS:
                del self.owners[next(iter(self.owners))]

    def owner(self, request_id: str) -> str | None:
        """The session whose request it is or was; None where that is not known: before a restart, or long ago."""
        return self.owners.get(request_id)

    def end(self, request_id: str) -> None:
        """It is over; may be said again."""
        self.active.discard(request_id)


class Busy(ServerError):
    """It speaks already; one request at a time."""

    status, title = 409, "Already streaming"


@dataclass(slots=True, eq=False)
class CompatSession:
    """One session. Units: seconds since 1970 in ``created_at`` and ``last_activity``, as the contract has them.

    What is counted is counted by the monotonic clock: a machine whose time is set must not end its sessions.
    """

    id: str
    kind: Kind
    stream: Stream
    user_id: str | None
    config: dict[str, int | float]
    """What ``config`` shows."""
    requests: Requests
    created_at: float = field(default_factory=time.time)
    created_s: float = field(default_factory=time.monotonic)
    used_s: float = field(default_factory=time.monotonic)
    """When it was last used."""
    active_stream: str | None = None
    """The request that is being spoken."""
    open: int = 0
    """Event streams that are open."""
    trickle: Trickle = field(default_factory=Trickle)
    """The viewers that came by ``offer``, and their candidates."""
    offered: deque[Session] = field(default_factory=lambda: deque(maxlen=MOST_OFFERED))
    """Those viewers' sessions, oldest first, of whom something can be known also when they are gone."""
    told: Announcements = field(default_factory=Announcements)
    """What those that listen to its events are told."""

    @property
    def avatar_id(self) -> str:
        """The avatar it shows."""
        return self.stream.avatar

    @property
    def used(self) -> bool:
        """Whether somebody uses it right now."""
        stream = self.stream
        return self.open > 0 or self.active_stream is not None or stream.viewer_count > 0 or stream.publisher

    @property
    def last_activity(self) -> float:
        """When it was last used, as the contract has it."""
        return self.created_at + self.used_s - self.created_s

    @property
    def age_s(self) -> float:
        """How long it has been there."""
        return time.monotonic() - self.created_s

    @property
    def idle_s(self) -> float:
        """How long nobody has used it; 0 while somebody does."""
        return 0.0 if self.used else time.monotonic() - self.used_s

    def touch(self) -> None:
        """It is used now."""
        self.used_s = time.monotonic()

    def claim(self, request_id: str) -> None:
        """Speak that request from now on. Errors: Busy."""
        if self.active_stream is not None:
            raise Busy(f"Session already streaming: {self.active_stream}")
        self.active_stream = request_id
        self.requests.begin(request_id, self.id)

    def release(self, request_id: str) -> None:
        """That request is over."""
        self.requests.end(request_id)
        if self.active_stream == request_id:
            self.active_stream = None


def nearest_rate(fps: int) -> int:
    """The frame rate that is served where ``fps`` is asked for; the higher of two that are as near."""
    return min(FRAME_RATES, key=lambda rate: (abs(rate - fps), -rate))


def video_of(live: Registry, settings: Settings, avatar: str, fps: int) -> VideoFormat:
    """How an avatar is shown where a client may not say: as in the settings, else at a size that it has.

    An avatar's size came of its video at the original, too. Errors: NoSuchAvatar; Unavailable where none is known yet.
    """
    info = next((info for info in live.avatars if info.name == avatar), None)
    if info is None:
        raise (
            NoSuchAvatar(f"Avatar {avatar[:128]!r} not found")
            if live.avatars
            else Unavailable("the avatars are being loaded")
        )
    usual = (settings.width, settings.height)
    width, height = usual if usual in info.sizes or not info.sizes else info.sizes[0]
    return VideoFormat(width, height, fps, settings.bitrate_bps)


class Sessions:
    """All sessions of the original's two families."""

    def __init__(self, live: Registry, settings: Settings) -> None:
        self._live, self._settings = live, settings
        self._sessions: dict[str, CompatSession] = {}
        self.requests = Requests()

    def all(self, kind: Kind) -> list[CompatSession]:
        """Those of one family, oldest first."""
        return [each for each in list(self._sessions.values()) if each.kind is kind and self._on_air(each)]

    async def create(
        self,
        kind: Kind,
        avatar: str,
        user_id: str | None,
        config: dict[str, int | float],
        *,
        fps: int,
        drawn_fps: int = 0,
    ) -> CompatSession:
        """A new session, its stream on air.

        Errors: NoSuchAvatar, TooMany, Unavailable.
        """
        video = video_of(self._live, self._settings, avatar, fps)
        name = secrets.token_urlsafe(16)
        stream = await self._live.put_on_air(name, avatar, video, drawn_fps=drawn_fps, listed=False)
        session = self._sessions[name] = CompatSession(name, kind, stream, user_id, config, self.requests)
        return session

    def get(self, session_id: str, kind: Kind) -> CompatSession:
        """The session of that id, used by this. Errors: NoSuchSession."""
        session = self._sessions.get(session_id)
        if session is None or session.kind is not kind or not self._on_air(session):
            raise NoSuchSession("Session not found or expired")
        session.touch()
        return session

    def _on_air(self, session: CompatSession) -> bool:
        """Whether its stream still is; DELETE /streams/{name} ends a session too."""
        try:
            return self._live.stream(session.id) is session.stream
        except NotOnAir:
            self._sessions.pop(session.id, None)
            return False

    async def delete(self, session: CompatSession) -> None:
        """End it, with its viewers and its speech."""
        self._sessions.pop(session.id, None)
        try:
            await self._live.take_off_air(session.id)
        except NotOnAir:
            return
        except TimeoutError:  # it ends all the same, and nobody finds it any more
            logger.warning("a session takes long to end")

    async def sweep(self) -> None:
        """End those that nobody has used for long; forget those whose streams are off the air."""
        for session in list(self._sessions.values()):
            if not self._on_air(session):
                continue
            if session.used:
                session.touch()
            elif session.idle_s > self._settings.session_ttl_s:
                logger.info("a session has expired", extra={"age_s": round(session.age_s)})
                await self.delete(session)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(min(SWEEP_S, self._settings.session_ttl_s / 4))
            try:
                await self.sweep()
            except Exception:  # the sweeper must outlive one session's trouble
                logger.exception("sweeping sessions failed")
