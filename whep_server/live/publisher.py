"""Who publishes to a stream: one at a time, over WHIP; what it says drives the lips live.

The rule of the floor: a stream has one voice. Speech that was accepted before is spoken to its end first, and what the
publisher says meanwhile is not heard; while there is a publisher, further uploads are refused (409). When it goes, the
stream is idle again. What it says is one utterance in the events, a further one after it was interrupted, or after the
worker had to be restarted.

Its voice may interrupt what was accepted before. Or it is but listened to: each time its voice begins, what is spoken
ends; it never speaks itself, so uploads are welcome.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from avatar.client import WorkerState
from avatar.messages import AbandonSpeech, CloseLive, LivePacket, OpenLive
from whep_server.errors import AlreadyPublishing, NoSuchSession, Unavailable
from whep_server.live.events import StreamEvent
from whep_server.live.house import House
from whep_server.live.journal import log_session
from whep_server.live.session import Departed, Ending, Session, answer_peer
from whep_server.live.speech_queue import SpeechQueue
from whep_server.live.telling import tell
from whep_server.live.utterances import Entry, Stage
from whep_server.log import about, shown_id
from whep_server.rtc.peer import publisher_peer
from whep_server.settings import BargeIn
from whep_server.signaling.ingest import plan_ingest
from whep_server.signaling.sdp import parse_offer

REOPEN_S: Final = 1.0
"""An utterance that ended while the publisher goes on is followed by another one, not more often than this."""


class Floor:
    """The publisher of one stream, or nobody. ``group`` owns its task while the stream is on air."""

    def __init__(
        self,
        stream: str,
        speech: SpeechQueue,
        house: House,
        emit: Callable[[StreamEvent], None],
        check_place: Callable[[], None],
    ) -> None:
        """``emit`` takes the events of a publisher that comes or goes; ``check_place`` raises TooManySpeak."""
        self.group: asyncio.TaskGroup | None = None
        self._stream = stream
        self._speech = speech
        self._house = house
        self._worker = house.worker
        self._emit = emit
        self._check_place = check_place
        self._time = asyncio.get_running_loop().time
        self._session: Session | None = None
        self._joining = False
        self._barges_in = BargeIn.NO
        self._departed = Departed()
        self._entry: Entry | None = None
        self._ear: str | None = None  # what the worker knows it by where it only listens
        self._opened_s = -REOPEN_S

    @property
    def taken(self) -> bool:
        """Whether somebody publishes, or is being answered."""
        return self._joining or self._session is not None

    @property
    def speaks(self) -> bool:
        """Whether that one has the stream's voice, or will have it."""
        return self.taken and self._barges_in is not BargeIn.LISTEN

    @property
    def sessions(self) -> list[Session]:
        """The publisher's, if there is one."""
        return [] if self._session is None else [self._session]

    def event(self) -> StreamEvent:
        """How things stand."""
        return StreamEvent("publisher", {"publisher": self.taken, "listens": self.taken and not self.speaks})

    def check_free(self) -> None:
        """For who wants to speak. Errors: AlreadyPublishing, BeingEnded."""
        self._house.check_open()
        if self.speaks:
            raise AlreadyPublishing("a publisher has this stream; it has one voice at a time")

    def session(self, session_id: str) -> Session:
        """The publisher's session, if that is its id.

        Errors: NoSuchSession.
        """
        if self._session is None or self._session.id != session_id:
            raise NoSuchSession("no such session")
        return self._session

    async def end(self, session_id: str) -> None:
        """End the session, or learn that it has ended already.

        Errors: NoSuchSession.
        """
        if not self._departed.settle(session_id):
            await self.session(session_id).close()

    async def join(self, offer: str, barges_in: BargeIn) -> Session:
        """A session for a publisher's offer, with its answer.

        Errors: MalformedSdp, NotAcceptable, AlreadyPublishing, Unavailable, TooManySpeak.
        """
        plan = plan_ingest(parse_offer(offer))
        self._house.check_open()
        if self.taken:
            raise AlreadyPublishing("somebody publishes to this stream; it has one publisher at a time")
        if self._worker.state is not WorkerState.READY:
            raise Unavailable("the speech engine is starting")
        if barges_in is not BargeIn.LISTEN:
            self._check_place()
        self._joining, self._barges_in = True, barges_in
        try:
            session = await answer_peer(publisher_peer(plan, self._take, self._house.settings, self._house.ports), plan)
        except Unavailable:
            self._house.ledger.not_gathered()
            raise
        finally:
            self._joining = False
        if self.group is None:
            await session.discard()
            raise Unavailable("the stream is being taken off the air")
        self._session = session
        self.group.create_task(self._run(session))
        self._emit(self.event())
        return session

    async def _run(self, session: Session) -> None:
        try:
            with about(stream=self._stream, session=shown_id(session.id)):
                await session.run(self._house.settings.join_timeout_s)
        finally:
            self._session = None
            self._departed.note(session)
            self._house.ledger.session_over(session.stats())
            log_session(self._stream, session)
            self._end_utterance()
            self._emit(self.event())

    def leave(self) -> None:
        """The stream goes off the air: end the session."""
        if self.group is None:
            return
        group, self.group = self.group, None
        if self._session is not None:
            group.create_task(self._session.close(Ending.OFF_AIR))

    # --- what it says

    def listening(self, utterance: str) -> bool:
        """Whether that is the publisher, who is but listened to."""
        return self._ear == utterance

    def waiting(self, utterance: str) -> bool:
        """Whether that is what the publisher says, and its turn has not come."""
        entry = self._entry
        return entry is not None and entry.id == utterance and entry.waits and self._speech.has(entry)

    def unheard(self) -> None:
        """The worker does not listen (any more): it is asked again."""
        self._ear = None

    def _take(self, sequence: int, rtp_time: int, payload: bytes) -> None:
        """An Opus packet has come."""
        utterance = self._listen() if self._barges_in is BargeIn.LISTEN else self._speak()
        if utterance is not None:
            tell(self._worker, LivePacket(self._stream, utterance, sequence, rtp_time, payload))

    def _listen(self) -> str | None:
        if self._ear is None and self._may_open():
            self._ear = secrets.token_urlsafe(9)
            tell(self._worker, OpenLive(self._stream, self._ear, self._speech.epoch, listens=True))
        return self._ear

    def _speak(self) -> str | None:
        entry = self._entry
        if entry is None or not self._speech.has(entry) or entry.stage is Stage.FINISHED:
            if not self._may_open():
                return None
            entry = self._entry = self._speech.open_live()
            entry.barges_in = self._barges_in is BargeIn.SPEECH
            tell(self._worker, OpenLive(self._stream, entry.id, self._speech.epoch, barges_in=entry.barges_in))
        return entry.id

    def _may_open(self) -> bool:
        now_s = self._time()
        if self._session is None or now_s - self._opened_s < REOPEN_S or self._worker.state is not WorkerState.READY:
            return False
        self._opened_s = now_s
        return True

    def _end_utterance(self) -> None:
        if self._ear is not None:
            tell(self._worker, CloseLive(self._stream, self._ear))
        entry, self._entry, self._ear = self._entry, None, None
        if entry is None or not self._speech.has(entry):
            return
        if entry.waits:
            tell(self._worker, AbandonSpeech(self._stream, entry.id))
            self._speech.fail(Unavailable("the publisher went before its turn"), 0, [entry.id])
        else:
            tell(self._worker, CloseLive(self._stream, entry.id))
