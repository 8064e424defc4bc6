"""Every setting, typed, with unit, bounds and reason. No other file reads the environment.

Read, first wins: keyword arguments (the command line), environment variables ``WHEP_AVATAR_…``, the TOML file named by
``WHEP_AVATAR_CONFIG``. The names of the original server's ICE settings are kept without prefix.
"""

from pathlib import Path
from typing import Annotated, Final

from platformdirs import user_cache_path
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX: Final = "WHEP_AVATAR_"


def _shipped(name: str) -> Path:
    """A folder of package data: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).with_name(name)
    return inside if inside.is_dir() else Path(__file__).parents[1] / name


class Settings(BaseSettings):
    """All settings of the server; printed by ``whep-avatar serve --print-settings``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    # where things are
    assets: Path = Field(default_factory=lambda: _shipped("assets"), description="Shipped avatars, models, player")
    templates: Path = Field(default_factory=lambda: _shipped("templates"), description="The pages a person sees")
    cache: Path = Field(
        default_factory=lambda: user_cache_path("whep-avatar"),
        description="Encoded idle loops, so that a second start is quick; may be deleted at any time",
    )

    # HTTP
    host: str = Field("127.0.0.1", description="Address to listen on; loopback until the operator says otherwise")
    port: int = Field(8000, ge=0, le=65535, description="TCP port of HTTP; 0 takes a free one")
    public_base_path: str = Field("", description="Path prefix a reverse proxy strips, put before every Location")
    max_sdp_bytes: int = Field(128 * 1024, ge=1024, description="Largest offer or fragment; browsers send 3 to 8 KiB")
    max_upload_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="Largest speech upload: 10 minutes of WAV fit")
    upload_stall_s: float = Field(10.0, gt=0, description="An upload that sends nothing for so long is given up")

    # streams
    demo_stream: str = Field("demo", description="Stream put on air at start; empty for none")
    avatar: str = Field("nova", description="Avatar of the stream put on air at start")
    width: int = Field(1280, description="Its width in pixels")
    height: int = Field(720, description="Its height in pixels")
    fps: int = Field(25, description="Its frames a second: 10, 15, 20, 25 or 30")
    bitrate_bps: int = Field(1_500_000, ge=100_000, le=20_000_000, description="Its picture bitrate while it speaks")
    max_streams: int = Field(16, ge=1, description="Streams on air at once")
    max_queued_utterances: int = Field(32, ge=1, description="Utterances waiting in one stream; more are refused (429)")
    max_speech_s: float = Field(600.0, gt=0, description="Longest utterance")
    lead_ms: int = Field(120, ge=40, le=400, description="How far ahead of its time a live picture is made")
    event_queue: int = Field(256, ge=8, description="Events one listener may fall behind before it is cut off")

    # viewers
    max_viewers: int = Field(200, ge=1, description="Viewers of all streams together; more are refused (503)")
    join_timeout_s: float = Field(15.0, gt=0, description="ICE and DTLS must be up by then, else the session ends")
    ring_frames: int = Field(50, ge=5, description="Pictures a viewer may fall behind before it skips to a keyframe")
    keyframe_interval_ms: int = Field(500, ge=100, description="At most one requested keyframe in so long")
    ice_loopback: bool = Field(
        True,
        description="Offer 127.0.0.1 as a candidate where HTTP listens on loopback",
    )
    stun_urls: Annotated[list[str], NoDecode] = Field(
        default=[],
        validation_alias=AliasChoices("stun_urls", "WEBRTC_STUN_URLS"),
        description="STUN URLs, comma-separated",
    )
    turn_urls: Annotated[list[str], NoDecode] = Field(
        default=[],
        validation_alias=AliasChoices("turn_urls", "WEBRTC_TURN_URLS"),
        description="TURN URLs, comma-separated",
    )
    turn_user: str = Field(
        "", validation_alias=AliasChoices("turn_user", "WEBRTC_TURN_USER"), description="TURN user name"
    )
    turn_pass: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("turn_pass", "WEBRTC_TURN_PASS"), description="TURN password"
    )

    # worker
    worker_threads: int = Field(2, ge=1, le=64, description="Threads of the worker that compose and encode")
    worker_start_s: float = Field(60.0, gt=0, description="A worker not ready by then is killed and started again")
    worker_ping_s: float = Field(2.0, gt=0, description="Time between pings")
    worker_slow_s: float = Field(2.0, gt=0, description="A ping unanswered for so long is logged")
    worker_dead_s: float = Field(8.0, gt=0, description="A ping unanswered for so long: the worker is killed")
    worker_stop_s: float = Field(5.0, gt=0, description="Time a worker has to end when asked")

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="One JSON object a log line")
