"""One viewer's session: its peer connection, its feeds, and its life from the answer to the end."""

import asyncio
from collections.abc import Callable
from typing import Final

from avatar.messages import Codec
from whep_server.errors import NoSuchSession, NotAcceptable
from whep_server.live.fanout import Feed, VideoFeed
from whep_server.rtc.peer import ViewerPeer
from whep_server.settings import Settings
from whep_server.signaling.headers import new_etag, new_session_id
from whep_server.signaling.negotiation import Plan
from whep_server.signaling.sdpfrag import Fragment, parse_fragment
from whep_server.signaling.state import Input, State, step

AUDIO_RING: Final = 100
"""Two seconds: who is further behind hears the present instead."""
MAX_CANDIDATES: Final = 50
"""A session's; further ones are ignored."""


class ViewerSession:
    """A viewer, from its answer on. ``run`` is its life; ``close`` ends it and waits for that."""

    def __init__(self, peer: ViewerPeer, plan: Plan, answer: str, video: VideoFeed | None, audio: Feed | None) -> None:
        self.id = new_session_id()
        """A capability: whoever knows it may end the session. Never logged."""
        self.etag = new_etag()
        self.answer = answer
        self.state = State.ANSWERED
        self.video = video
        self.audio = audio
        self._peer = peer
        self._transport = plan.transport
        self._candidates = 0
        self._closed = asyncio.Event()

    @property
    def feeds(self) -> list[Feed]:
        """What it is sent."""
        return [feed for feed in (self.video, self.audio) if feed is not None]

    @property
    def codecs(self) -> list[Codec]:
        """What its feeds are encoded with."""
        return [feed.codec for feed in self.feeds]

    async def run(self, join_timeout_s: float) -> None:
        """Wait until the viewer is gone: never connected, said goodbye, lost, or closed by us; then free everything."""
        try:
            if await self._peer.wait_connected(join_timeout_s):
                self._step(Input.CONNECT)
                await self._peer.wait_ended()
                self._step(Input.LOSE)
            else:
                self._step(Input.EXPIRE)
        finally:
            await self._peer.close()
            self.state = State.CLOSED
            self._closed.set()

    def _step(self, event: Input) -> None:
        if self.state is not State.CLOSED:
            self.state = step(self.state, event)

    async def trickle(self, fragment: str) -> None:
        """Take a PATCH: further candidates.

        Errors: MalformedFragment; NotAcceptable for an ICE restart, which leaves the session as it is; NoSuchSession.
        """
        if self.state is State.CLOSED:
            raise NoSuchSession("the session has ended")
        parsed = parse_fragment(fragment.encode())
        if self._restarts(parsed):
            raise NotAcceptable("ICE restart is not supported; open a new session")
        self._step(Input.TRICKLE)
        for candidate in parsed.candidates:
            if self._candidates < MAX_CANDIDATES:
                self._candidates += 1
                await self._peer.add_candidate(candidate)

    def _restarts(self, fragment: Fragment) -> bool:
        """Told by changed credentials, not by If-Match, which players send as they like."""
        changed_ufrag = fragment.ufrag not in (None, self._transport.ufrag)
        return changed_ufrag or fragment.password not in (None, self._transport.password)

    async def discard(self) -> None:
        """Free a session that was never run."""
        await self._peer.close()

    async def close(self) -> None:
        """End the session and wait until its sockets are closed."""
        self._step(Input.DELETE)
        self._peer.end()
        await self._closed.wait()


async def answer_viewer(
    plan: Plan, level_idc: int, settings: Settings, on_reading: Callable[[], None]
) -> ViewerSession:
    """A session with its answer, ready to run.

    Errors: as ``ViewerPeer.answer``; nothing is left open then.
    """
    video_codec, audio_codec = plan.codec("video"), plan.codec("audio")
    video = VideoFeed(Codec(video_codec), settings.ring_frames, on_reading) if video_codec is not None else None
    audio = Feed(Codec.OPUS, AUDIO_RING, on_reading) if audio_codec is not None else None
    sources = {kind: feed for kind, feed in (("video", video), ("audio", audio)) if feed is not None}
    peer = ViewerPeer(plan, sources, level_idc, settings)
    answered = False
    try:
        answer = await peer.answer()
        answered = True
    finally:
        if not answered:
            await peer.close()
    return ViewerSession(peer, plan, answer, video, audio)
