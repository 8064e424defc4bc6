"""A viewer: a session and the feeds it is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from avatar.messages import Codec, VideoFormat
from whep_server.live.fanout import Feed
from whep_server.live.house import House
from whep_server.live.session import Session, answer_peer
from whep_server.live.video_feed import VideoFeed
from whep_server.rtc.broadcast import Broadcast
from whep_server.rtc.peer import viewer_peer
from whep_server.signaling.negotiation import Plan


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches."""

    session: Session
    video: VideoFeed | None
    audio: Feed | None

    @property
    def feeds(self) -> list[Feed]:
        """What it is sent."""
        return [feed for feed in (self.video, self.audio) if feed is not None]


async def answer_viewer(
    plan: Plan,
    level_idc: int,
    rungs: Sequence[VideoFormat],
    house: House,
    broadcast: Broadcast,
    on_reading: Callable[[], None],
) -> Viewer:
    """A viewer with its answer, its session ready to run. ``rungs``: the renditions that there are, best first.

    Errors: as ``Peer.answer``; nothing is left open then.
    """
    video_codec, audio_codec = plan.codec("video"), plan.codec("audio")
    video = VideoFeed(Codec(video_codec), rungs, on_reading) if video_codec is not None else None
    audio = Feed(Codec.OPUS, on_reading) if audio_codec is not None else None
    sources = {kind: feed for kind, feed in (("video", video), ("audio", audio)) if feed is not None}
    peer = viewer_peer(plan, sources, level_idc, house.settings, broadcast, house.ports)
    session = await answer_peer(peer, plan)
    return Viewer(session, video, audio)
