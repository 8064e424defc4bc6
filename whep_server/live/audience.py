"""Who watches a stream: its viewers' sessions, from the offer to the end, and what their players are told."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from avatar.messages import VideoFormat
from whep_server.errors import NoSuchSession, Unavailable
from whep_server.live.fanout import Feed
from whep_server.live.house import House
from whep_server.live.idle import VIDEO_CODECS
from whep_server.live.journal import log_session
from whep_server.live.session import Departed, Ending, Session
from whep_server.live.session_events import RECONNECT
from whep_server.live.video_feed import VideoFeed
from whep_server.live.viewer import Viewer, answer_viewer
from whep_server.log import about, shown_id
from whep_server.rtc.broadcast import Broadcast
from whep_server.signaling.negotiation import plan_answer
from whep_server.signaling.sdp import parse_offer


class Audience:
    """The viewers of one stream. ``group`` owns their tasks while the stream is on air."""

    def __init__(
        self,
        key: str,
        rungs: Sequence[VideoFormat],
        house: House,
        broadcast: Broadcast,
        changed: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """``changed`` is called when a viewer comes or goes, ``wake`` when one begins to take units.

        ``key`` is what the log calls the stream, ``rungs`` the renditions that there are, best first.
        """
        self.group: asyncio.TaskGroup | None = None
        self._key = key
        self._rungs = rungs
        self._house = house
        self._broadcast = broadcast
        self._changed = changed
        self._wake = wake
        self._viewers: dict[str, Viewer] = {}
        self._joining = 0
        self._departed = Departed()

    def __len__(self) -> int:
        return len(self._viewers)

    @property
    def sessions(self) -> list[Session]:
        """Viewers' sessions, oldest first."""
        return [viewer.session for viewer in self._viewers.values()]

    @property
    def claimed(self) -> int:
        """Viewers, and those that are being answered."""
        return len(self._viewers) + self._joining

    @property
    def reading(self) -> bool:
        """Whether anybody takes units out."""
        return any(feed.reading for viewer in self._viewers.values() for feed in viewer.feeds)

    def feeds(self) -> tuple[list[VideoFeed], list[Feed]]:
        """All viewers' feeds: pictures, sounds."""
        viewers = list(self._viewers.values())
        pictures = [viewer.video for viewer in viewers if viewer.video is not None]
        return pictures, [viewer.audio for viewer in viewers if viewer.audio is not None]

    def session(self, session_id: str) -> Session:
        """The session with that id.

        Errors: NoSuchSession.
        """
        viewer = self._viewers.get(session_id)
        if viewer is None:
            raise NoSuchSession("no such session")
        return viewer.session

    async def end(self, session_id: str) -> None:
        """End a session, or learn that it has ended already.

        Errors: NoSuchSession.
        """
        if not self._departed.settle(session_id):
            await self.session(session_id).close()

    async def join(self, offer: str, level_idc: int) -> Session:
        """A session for an offer, with its answer.

        Errors: MalformedSdp, NotAcceptable, Unavailable.
        """
        plan = plan_answer(parse_offer(offer), VIDEO_CODECS)
        self._house.check_room()
        self._joining += 1
        try:
            viewer = await answer_viewer(plan, level_idc, self._rungs, self._house, self._broadcast, self._wake)
        except Unavailable:
            self._house.ledger.not_gathered()
            raise
        finally:
            self._joining -= 1
        if self.group is None:
            await viewer.session.discard()
            raise Unavailable("the stream is being taken off the air")
        self._viewers[viewer.session.id] = viewer
        self.group.create_task(self._run(viewer.session))
        self._count_changed()
        return viewer.session

    async def _run(self, session: Session) -> None:
        try:
            with about(stream=self._key, session=shown_id(session.id)):
                await session.run(self._house.settings.join_timeout_s)
        finally:
            del self._viewers[session.id]
            self._departed.note(session)
            self._house.ledger.session_over(session.stats())
            log_session(self._key, session)
            self._count_changed()

    def _count_changed(self) -> None:
        self.tell("viewercount", {"viewercount": len(self)})
        self._changed()

    def tell(self, kind: str, data: Mapping[str, int]) -> None:
        """Tell all players that asked for such events."""
        for viewer in self._viewers.values():
            viewer.session.events.tell(kind, data)

    def leave(self) -> None:
        """The stream goes off the air: tell the players, end every session."""
        if self.group is None:
            return
        group, self.group = self.group, None
        self.tell(RECONNECT, {})
        for viewer in list(self._viewers.values()):
            group.create_task(viewer.session.close(Ending.OFF_AIR))
