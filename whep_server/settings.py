"""Every setting, typed, with unit, bounds and reason. No other file reads the environment.

Read, first wins: keyword arguments (the command line), environment variables ``WHEP_AVATAR_…``, the TOML file named by
``WHEP_AVATAR_CONFIG``. The original server's ICE settings are also read under their own names, ``WEBRTC_…``.
"""

import json
import os
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from whep_server.signaling.ice_servers import TurnLogin

PREFIX: Final = "WHEP_AVATAR_"
CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
FRAME_RATES: Final = (10, 15, 20, 25, 30)
"""Those at which pictures and 20 ms audio packets meet often enough (``avatar.messages`` has the same)."""
MASK: Final = "**********"


class BargeIn(StrEnum):
    """What the voice of a publisher does to speech that is being spoken when it begins."""

    NO = "no"
    """Nothing: it is heard after what was accepted before."""
    SPEECH = "speech"
    """It interrupts that and is spoken itself."""
    LISTEN = "listen"
    """It interrupts that, each time it begins, and is never spoken itself: a microphone before an assistant."""


class ConfigFileError(ValueError):
    """The file named by ``WHEP_AVATAR_CONFIG`` cannot be read."""


def _shipped(name: str) -> Path:
    """A folder of package data: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).with_name(name)
    return inside if inside.is_dir() else Path(__file__).parents[1] / name


class Settings(BaseSettings):
    """All settings of the server; printed by ``whep-avatar serve --print-settings``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,  # a wrong value may be a secret that stands in the wrong place
    )

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
    public_base_path: str = Field(
        "", pattern=r"^(/[\w.~-]+)*/?$", description="Path prefix a reverse proxy strips, put before every path we name"
    )
    max_sdp_bytes: int = Field(128 * 1024, ge=1024, description="Largest offer or fragment; browsers send 3 to 8 KiB")
    max_upload_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="Largest speech upload: 10 minutes of WAV fit")
    upload_stall_s: float = Field(10.0, gt=0, description="An upload that sends nothing for so long is given up")

    drain_s: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="At SIGTERM, what was accepted is spoken to its end, for so long at most, and nothing new is "
        "taken; whoever sends it must wait ten seconds longer before it kills. Ctrl-C never waits",
    )

    # who may, and how often
    watch_token: SecretStr = Field(
        SecretStr(""), description="Bearer token without which nobody may watch; empty: everybody may"
    )
    publish_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token without which nobody may publish, make it speak or change what is on air; "
        "who has it may watch, too; empty: everybody may",
    )
    strict: bool = Field(
        False,
        description="Ask of clients what the standards say and many forget: If-Match with every PATCH (428), and the "
        "token with every request to a session",
    )
    offers_per_s: float = Field(
        20.0, ge=0, description="Offers one address may send a second in the long run (429); 0: no limit"
    )
    offer_burst: int = Field(60, ge=1, description="Offers one address may send at once")

    # streams
    demo_stream: str = Field(
        "demo", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Stream put on air at start; empty for none"
    )
    avatar: str = Field("nova", min_length=1, description="Avatar of a stream that names none")
    width: int = Field(1280, ge=16, le=1920, multiple_of=2, description="Width in pixels; even")
    height: int = Field(720, ge=16, le=1920, multiple_of=2, description="Height in pixels; even")
    fps: int = Field(25, description="Frames a second: 10, 15, 20, 25 or 30")
    bitrate_bps: int = Field(
        1_500_000, ge=100_000, le=20_000_000, description="Picture bitrate while it speaks, in bits a second"
    )
    renditions: int = Field(
        3,
        ge=1,
        le=3,
        description="Sizes that a viewer may be sent, by what its network carries: the full one, 3/4 and 1/2 of its "
        "sides; made only while somebody needs them",
    )
    max_streams: int = Field(64, ge=1, description="Streams on air at once, the original server's sessions included")
    max_queued_utterances: int = Field(32, ge=1, description="Utterances waiting in one stream; more are refused (429)")
    max_renders: int = Field(
        16, ge=1, description="Recordings made at once that nobody watches; more are refused (429)"
    )
    max_speech_s: float = Field(600.0, gt=0, description="Longest utterance")
    pcm_window_s: float = Field(
        10.0, ge=0.5, le=60, description="Streamed speech that may wait unplayed; who makes more of it is held up"
    )
    pcm_start_ms: int = Field(
        120,
        ge=20,
        le=1000,
        description="Streamed speech begins with so much in hand, and with more where its sender's pace was uneven",
    )
    pcm_gap_s: float = Field(
        30.0, ge=1, le=600, description="Streamed speech is over when it has paused for so long: no samples came"
    )
    whip_interrupts: BargeIn = Field(
        BargeIn.NO,
        description="What a publisher's voice does to what is being spoken, where its offer does not say: no, speech "
        "(it stops that and speaks), or listen (it stops that each time it begins, and is never heard itself)",
    )
    lead_ms: int = Field(120, ge=40, le=400, description="How far ahead of its time a live picture is made")
    event_queue: int = Field(256, ge=8, description="Events one listener may fall behind before it is cut off")

    # text that is read aloud (docs/text-to-speech.md)
    tts_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$",
        description="Base address of an OpenAI-compatible speech endpoint, as https://api.openai.com/v1; text is read "
        "there, and nowhere else. Empty: by espeak-ng where it is installed",
    )
    tts_key: SecretStr = Field(SecretStr(""), description="Bearer token for it; empty for none")
    tts_model: str = Field("tts-1", min_length=1, description="Its model, where a request names none")
    tts_voice: str = Field(
        "", description="Voice, where a request names none; empty: alloy at an endpoint, en-us with espeak-ng"
    )
    tts_timeout_s: float = Field(20.0, gt=0, description="What reads text is given up when it is silent for so long")
    max_text_chars: int = Field(5000, ge=1, le=100_000, description="Longest text: five minutes of speech; more: 413")

    # the original server's contract (docs/api.md)
    session_ttl_s: float = Field(
        3600.0,
        gt=0,
        description="A session made by /sessions/create or /webrtc/sessions/create ends when nobody has "
        "used it for so long; an open viewer, an open event stream and speech are use",
    )
    chunk_ttl_s: float = Field(3600.0, gt=0, description="Files made of speech are kept for so long")
    max_store_bytes: int = Field(
        4 * 1024**3, ge=1024**2, description="Files made of speech take so much at most: the oldest go first"
    )
    avatars: Path = Field(
        default_factory=lambda: user_data_path("whep-avatar") / "avatars",
        description="Avatars prepared on this machine; those that are shipped are found beside them",
    )
    max_video_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="Largest video an avatar may be prepared from")

    # viewers
    max_viewers: int = Field(200, ge=1, description="Viewers of all streams together; more are refused (503)")
    join_timeout_s: float = Field(15.0, gt=0, description="ICE and DTLS must be up by then, else the session ends")
    keyframe_interval_ms: int = Field(500, ge=100, description="At most one requested keyframe in so long")
    ice_loopback: bool = Field(
        True,
        description="Offer 127.0.0.1 as a candidate where HTTP listens on loopback",
    )
    stun_urls: Annotated[list[str], NoDecode] = Field(
        default=[],
        validation_alias=AliasChoices(f"{PREFIX}STUN_URLS", "WEBRTC_STUN_URLS"),
        description="STUN URLs, comma-separated",
    )
    turn_urls: Annotated[list[str], NoDecode] = Field(
        default=[],
        validation_alias=AliasChoices(f"{PREFIX}TURN_URLS", "WEBRTC_TURN_URLS"),
        description="TURN URLs, comma-separated",
    )
    turn_user: str = Field(
        "",
        validation_alias=AliasChoices(f"{PREFIX}TURN_USER", "WEBRTC_TURN_USER"),
        description="TURN user name",
    )
    turn_pass: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices(f"{PREFIX}TURN_PASS", "WEBRTC_TURN_PASS"),
        description="TURN password",
    )
    turn_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret shared with the TURN server (coturn's static-auth-secret): each peer then gets a name and "
        "password of its own, which expire; turn_pass is not used",
    )
    turn_lifetime_s: int = Field(
        43_200, ge=60, description="How long such a password is good: longer than anybody watches without a reconnect"
    )

    # worker
    worker_threads: int = Field(2, ge=1, le=64, description="Threads of the worker that compose and encode")
    worker_start_s: float = Field(60.0, gt=0, description="A worker not ready by then is killed and started again")
    worker_ping_s: float = Field(2.0, gt=0, description="Time between pings")
    worker_slow_s: float = Field(2.0, gt=0, description="A ping unanswered for so long is logged")
    worker_dead_s: float = Field(8.0, gt=0, description="A ping unanswered for so long: the worker is killed")
    worker_stop_s: float = Field(5.0, gt=0, description="Time a worker has to end when asked")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged")
    log_json: bool = Field(False, description="One JSON object a log line")

    @property
    def turn_login(self) -> TurnLogin:
        """How peers log in at the TURN servers."""
        return TurnLogin(
            self.turn_user,
            self.turn_pass.get_secret_value(),
            self.turn_secret.get_secret_value(),
            self.turn_lifetime_s,
        )

    @field_validator("stun_urls", "turn_urls", mode="before")
    @classmethod
    def split_urls(cls, value: object) -> object:
        """Comma-separated in the environment, an array in TOML."""
        if isinstance(value, str):
            return [url.strip() for url in value.split(",") if url.strip()]
        return value

    @field_validator("stun_urls", "turn_urls")
    @classmethod
    def check_urls(cls, urls: list[str]) -> list[str]:
        """They are written into HTTP headers and SDP: no spaces, quotes or brackets (RFC 7064, RFC 7065)."""
        for url in urls:
            if not url.startswith(("stun:", "stuns:", "turn:", "turns:")) or set(url) & set(' <>"\\,;\r\n'):
                raise ValueError("not a STUN or TURN URL")
        return urls

    @field_validator("turn_user", "turn_pass")
    @classmethod
    def check_credentials(cls, value: str | SecretStr) -> str | SecretStr:
        """They are written into ``Link`` headers, which naive players cut at commas and semicolons."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not text.isascii() or not text.isprintable() or set(text) & set(' <>"\\,;'):
            raise ValueError("must be printable ASCII without spaces, quotes, brackets, commas and semicolons")
        return value

    @field_validator("tts_key")
    @classmethod
    def check_key(cls, value: SecretStr) -> SecretStr:
        """It is written into a header."""
        key = value.get_secret_value().strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("must be printable ASCII without spaces")
        return SecretStr(key)

    @field_validator("public_base_path")
    @classmethod
    def strip_slash(cls, path: str) -> str:
        """``/`` and ``/avatar/`` mean the same as the empty path and ``/avatar``."""
        return path.rstrip("/")

    @field_validator("fps")
    @classmethod
    def check_rate(cls, fps: int) -> int:
        """Only rates whose frames and audio packets meet on the grid."""
        if fps not in FRAME_RATES:
            raise ValueError(f"must be one of {', '.join(map(str, FRAME_RATES))}")
        return fps

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, file. Errors: ConfigFileError."""
        file = os.environ.get(CONFIG_VARIABLE)
        if not file:
            return init_settings, env_settings
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file).resolve(strict=True))
        except (OSError, ValueError) as error:  # ValueError: what is not TOML or not UTF-8
            raise ConfigFileError(f"{CONFIG_VARIABLE}={file}: {error}") from error


def variables() -> list[str]:
    """The name of every environment variable that is read."""
    names = [CONFIG_VARIABLE]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        named = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else []
        names += named or [f"{PREFIX}{name.upper()}"]
    return names


def unknown_variables() -> list[str]:
    """Those of the environment that are called as ours are and that nobody reads."""
    ours = [name for name in sorted(os.environ) if name.upper().startswith((PREFIX, "WEBRTC_"))]
    return [name for name in ours if name.upper() not in variables()]


def as_toml(settings: Settings) -> str:
    """The settings as a TOML file that could be read again, each with its description; secrets are masked."""
    lines: list[str] = []
    for name, field in Settings.model_fields.items():
        value: object = getattr(settings, name)
        lines += textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# ")
        if isinstance(value, SecretStr):
            lines.append(f'# {name} = "{MASK if value.get_secret_value() else ""}"')
        else:
            # a JSON string, number, truth value or array of strings is TOML, too
            lines.append(f"{name} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
        lines.append("")
    return "\n".join(lines)
