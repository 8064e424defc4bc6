"""How WebRTC sessions are shown: under the original's names where they are true, and what is known of each viewer."""

from collections.abc import Sequence
from typing import Final

import msgspec

from whep_server.compat.lifetimes import CompatSession
from whep_server.compat.resources import Processes, processes
from whep_server.metrics.facts import SessionStats, StreamStats, UtteranceStats, WorkerFacts

PACKET_S: Final = 0.02
"""One packet of Opus."""
POSE: Final = "default"
"""The one pose that an avatar has; who asks for another gets this one, and is told so."""


Figures = dict[str, bool | int | float]


class SessionState(msgspec.Struct, frozen=True):
    """A session as it is now. Units: ``created_at`` and ``last_activity`` in seconds since 1970."""

    session_id: str
    avatar_id: str
    user_id: str | None
    status: str
    """streaming while it speaks, else the newest viewer's connection: new, connecting, connected, disconnected; created
    as long as nobody watches.
    """
    active_stream: str | None
    player_url: str
    created_at: float
    last_activity: float
    age_seconds: float
    idle_seconds: float
    fps: int | float
    playback_fps: int | float
    batch_size: int | float
    chunk_duration: int | float
    prebuffer_seconds: int | float
    track_stats: dict[str, Figures]
    """The newest viewer's, and those that hold for all."""
    ice_state: str
    """The newest viewer's: new, checking, completed, disconnected, failed or closed; new as long as nobody watches."""
    ice_failures: int
    """Of the last viewers that came by ``offer``: those that never connected, or were lost."""
    codec: str | None
    """The newest viewer's, for pictures."""
    viewers: list[SessionStats]
    """Those that watch, oldest first, however they came."""
    ended_viewers: list[SessionStats]
    """The last that came by ``offer`` and are gone, with the reason."""
    last_utterance: UtteranceStats | None
    """How soon the last speech was understood, heard and seen."""
    idle_pose_id: str = POSE
    live_pose_id: str = POSE
    ice_transport_policy: str = "all"


class SessionList(msgspec.Struct, frozen=True):
    """All sessions."""

    total_sessions: int
    active_streams: int
    sessions: list[SessionState]
    processes: Processes


def session_state(session: CompatSession, player_url: str) -> SessionState:
    """A session as it is now."""
    config = session.config
    viewers = [viewer.stats() for viewer in session.stream.viewers]
    ended = [known for known in (viewer.stats() for viewer in session.offered) if known.ending is not None]
    newest = viewers[-1] if viewers else None
    idle = "created" if newest is None else newest.connection_state
    stream = session.stream.stats()
    return SessionState(
        session_id=session.id,
        avatar_id=session.avatar_id,
        user_id=session.user_id,
        status="streaming" if session.active_stream else idle,
        active_stream=session.active_stream,
        player_url=player_url,
        created_at=session.created_at,
        last_activity=session.last_activity,
        age_seconds=session.age_s,
        idle_seconds=session.idle_s,
        fps=config["fps"],
        playback_fps=config["playback_fps"],
        batch_size=config["batch_size"],
        chunk_duration=config["chunk_duration"],
        prebuffer_seconds=config.get("prebuffer_seconds", 0),
        track_stats=track_stats(session, newest, stream),
        ice_state="new" if newest is None else newest.ice_state,
        ice_failures=sum(known.ice_failure is not None for known in ended),
        codec=None if newest is None or newest.video is None else newest.video.codec,
        viewers=viewers,
        ended_viewers=ended,
        last_utterance=stream.last_utterance,
    )


def track_stats(session: CompatSession, newest: SessionStats | None, stream: StreamStats) -> dict[str, Figures]:
    """The original's figures, as far as there is such a thing here; what was sent is of the newest viewer."""
    video: Figures = {
        "live_active": stream.state == "speaking",
        "generation_complete": session.active_stream is None,
        "source_fps": session.config["fps"],
        "output_fps": session.config["playback_fps"],
    }
    audio: Figures = {}
    transport: Figures = {"turns_completed": stream.utterances.get("finished", 0)}
    if newest is not None and newest.video is not None:
        video |= {"output_frames_sent": newest.video.frames_sent, "frames_dropped": newest.video.frames_dropped}
    if newest is not None and newest.audio is not None:
        sent = newest.audio.frames_sent
        audio |= {"frames_sent": sent, "audio_seconds_sent": round(sent * PACKET_S, 2)}
        transport["transport_frames_sent"] = sent
    clock: Figures = {"audio_stall_seconds": round(stream.silent_packets * PACKET_S, 2)}
    return {"video": video, "audio": audio, "audio_transport": transport, "sync_clock": clock}


def session_list(sessions: Sequence[SessionState], worker: WorkerFacts) -> SessionList:
    """All of them with their number, and what the machine has to do for them."""
    active = sum(session.active_stream is not None for session in sessions)
    return SessionList(len(sessions), active, list(sessions), processes(worker))
