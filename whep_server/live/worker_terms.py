"""What the worker is told at its start, how long it may take, and what it tells of itself. Pure."""

import math
from typing import Final

from avatar.client import Worker, WorkerLimits, WorkerState
from avatar.messages import SLACK_BOUNDS_S, AvatarsHeld, MuseTalkConfig, WorkerConfig
from whep_server.metrics.facts import AvatarFacts, HeldAvatar, WorkerFacts
from whep_server.settings import Settings

SLACK_BOUNDS: Final = (*SLACK_BOUNDS_S, math.inf)
MIB: Final = 1024 * 1024


def worker_config(settings: Settings) -> WorkerConfig:
    """What the worker is told about its surroundings."""
    return WorkerConfig(
        assets=str(settings.assets),
        avatars=str(settings.assets / "avatars"),
        prepared=str(settings.avatars),
        cache=str(settings.cache),
        threads=settings.worker_threads,
        max_speech_s=settings.max_speech_s,
        pcm_gap_s=settings.pcm_gap_s,
        max_upload_bytes=settings.max_upload_bytes,
        log_level=settings.log_level,
        size=(settings.width, settings.height),
        avatar_bytes=settings.avatar_memory_mb * MIB,
        musetalk=MuseTalkConfig(
            settings.musetalk_models,
            settings.musetalk_device,
            settings.musetalk_precision,
            settings.musetalk_speedup,
            settings.musetalk_max_batch,
        ),
    )


def facts_of(worker: Worker, avatars: AvatarsHeld, settings: Settings) -> WorkerFacts:
    """What a worker told of itself last, in our words."""
    stats = worker.stats
    return WorkerFacts(
        ready=worker.state is WorkerState.READY,
        frames=stats.frames,
        late_frames=stats.late_frames,
        live_streams=stats.live_streams,
        stage_s={stage: mean_ms * stats.frames / 1000 for stage, mean_ms in stats.stage_ms.items()},
        cpu_s=stats.cpu_s,
        rss_bytes=stats.rss_bytes,
        quick=stats.quick,
        slack={engine: list(zip(SLACK_BOUNDS, counts, strict=True)) for engine, counts in stats.slack.items()},
        avatars=AvatarFacts(
            [HeldAvatar(each.name, each.held_bytes, each.streams, each.loads) for each in avatars.held],
            settings.avatar_memory_mb * MIB,
            avatars.hits,
            avatars.misses,
            avatars.evictions,
        ),
    )


def worker_limits(settings: Settings) -> WorkerLimits:
    """How long the worker may take."""
    return WorkerLimits(
        start_s=settings.worker_start_s,
        ping_s=settings.worker_ping_s,
        slow_s=settings.worker_slow_s,
        dead_s=settings.worker_dead_s,
        stop_s=settings.worker_stop_s,
    )
