"""Every setting, typed, with unit, bounds and reason. No other file reads settings from the environment.

Read, first wins: keyword arguments (the command line), environment variables ``WHEP_AVATAR_…``, the TOML file named by
``WHEP_AVATAR_CONFIG``. The original server's ICE settings are also read under their own names, ``WEBRTC_…``.
"""

import os
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_data_path
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from whep_server.setting_types import FRAME_RATES as FRAME_RATES
from whep_server.setting_types import BargeIn as BargeIn
from whep_server.setting_types import (
    FrameRate,
    HeaderSecret,
    IceUrls,
    Interfaces,
    Origins,
    PortRange,
    Proxies,
    PublicAddresses,
    TokenSecrets,
    TurnName,
    TurnPassword,
    UdpPort,
    shipped,
)
from whep_server.signaling import media_addresses
from whep_server.signaling.ice_servers import TurnLogin

PREFIX: Final = "WHEP_AVATAR_"
CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"


class ConfigFileError(ValueError):
    """The file named by ``WHEP_AVATAR_CONFIG`` cannot be read."""


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
    assets: Path = Field(default_factory=lambda: shipped("assets"), description="Shipped avatars, models, player")
    templates: Path = Field(default_factory=lambda: shipped("templates"), description="The pages a person sees")
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
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@\"<>,;]+(/[\w.~-]+)*/?)?$",
        description="Address under which clients come, as https://example.org/avatar: written into Location, Link and "
        "addresses of streams; its path is the prefix above. Empty: paths alone",
    )
    tls_certificate: str = Field(
        "", description="PEM file of a certificate and what it is signed by: HTTPS without a proxy. Read anew on change"
    )
    tls_key: str = Field("", description="PEM file of its private key; empty: it is in the same file")
    trusted_proxies: Proxies = Field(
        default=["127.0.0.1", "::1"],
        validation_alias=AliasChoices(f"{PREFIX}TRUSTED_PROXIES", "FORWARDED_ALLOW_IPS"),
        description="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, "
        "comma-separated; *: everybody's",
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

    # who may, and how often (docs/security.md)
    watch_token: SecretStr = Field(
        SecretStr(""), description="Bearer token without which nobody may watch; empty: everybody may"
    )
    publish_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token without which nobody may publish, make it speak or change what is on air; "
        "who has it may do everything; empty: everybody may",
    )
    token_secrets: TokenSecrets = Field(
        SecretStr(""),
        description="Secrets of signed tokens, NAME:SECRET,OTHER:SECRET, each of 32 characters or more; the first one "
        "signs, all are believed. Where there is one, nothing is done without a token",
    )
    insecure: bool = Field(
        False, description="Serve on an address other than loopback though everybody may make it speak there"
    )
    strict: bool = Field(
        False,
        description="Ask of clients what the standards say and many forget: If-Match with every PATCH (428), and the "
        "token with every change of a session",
    )
    offers_per_s: float = Field(
        20.0, ge=0, description="Offers one address may send a second in the long run (429); 0: no limit"
    )
    offer_burst: int = Field(60, ge=1, description="Offers one address may send at once")
    requests_per_s: float = Field(
        200.0,
        ge=0,
        description="Other requests that tokens guard, of one address a second in the long run (429); 0: no limit",
    )
    request_burst: int = Field(1000, ge=1, description="Such requests one address may send at once")
    max_open_requests: int = Field(
        1000,
        ge=1,
        description="Requests of one address under way at once, event streams and WebSockets included; more are "
        "refused (429)",
    )
    cors_origins: Origins = Field(
        default=["*"],
        description="Origins whose pages may use this server, comma-separated, as https://example.org; *: all. Where "
        "they are named, WebSockets of other origins are refused, too",
    )
    frame_ancestors: Origins = Field(
        default=["*"],
        description="Origins whose pages may show ours in a frame, comma-separated; *: all, and apps; empty: none",
    )

    # streams
    demo_stream: str = Field(
        "demo", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Stream put on air at start; empty for none"
    )
    avatar: str = Field("nova", min_length=1, description="Avatar of a stream that names none")
    width: int = Field(1280, ge=16, le=1920, multiple_of=2, description="Width in pixels; even")
    height: int = Field(720, ge=16, le=1920, multiple_of=2, description="Height in pixels; even")
    fps: FrameRate = Field(25, description="Frames a second: 10, 15, 20, 25 or 30")
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
    max_speaking: int = Field(
        0,
        ge=0,
        description="Streams that may speak at one time; speech on a further one is refused (503). 0: as "
        "`whep-avatar bench capacity` has measured, no limit where it has not",
    )
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
    tts_key: HeaderSecret = Field(SecretStr(""), description="Bearer token for it; empty for none")
    tts_model: str = Field("tts-1", min_length=1, description="Its model, where a request names none")
    tts_voice: str = Field("", description="Voice, where none is named; empty: the endpoint's alloy, espeak-ng's en-us")
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
    avatar_memory_mb: int = Field(
        1024, ge=0, description="MiB of memory for avatars, 35 a second at 1280x720; those on air stay, others may go"
    )
    max_preparations: int = Field(4, ge=1, description="Avatars made or waiting for it at once; more are refused (429)")
    max_video_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="Largest video an avatar may be prepared from")

    # filmed faces that speak, on a GPU (docs/avatars.md)
    musetalk_models: str = Field(
        "",
        description="Folder with MuseTalk's weights: musetalkV15, sd-vae, whisper; empty: avatars for it stay off air",
    )
    musetalk_device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto (a GPU where there is one), cpu, cuda or cuda:N"
    )
    musetalk_precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="Of its numbers; auto: fp16 on a GPU, fp32 on a CPU"
    )
    musetalk_speedup: Literal["none", "graphs", "compile"] = Field(
        "none", description="On a GPU: CUDA graphs, or torch.compile, which takes minutes at the start (worker_start_s)"
    )
    musetalk_max_batch: int = Field(32, ge=1, le=32, description="Most faces made at once; fewer: less memory")

    # viewers
    max_viewers: int = Field(200, ge=1, description="Viewers of all streams together; more are refused (503)")
    join_timeout_s: float = Field(15.0, gt=0, description="ICE and DTLS must be up by then, else the session ends")
    keyframe_interval_ms: int = Field(500, ge=100, description="At most one requested keyframe in so long")
    ice_loopback: bool = Field(
        True, description="Offer 127.0.0.1 alone where HTTP listens on loopback and public_url names nothing else"
    )
    udp_port: UdpPort = Field(
        None,
        validation_alias=AliasChoices(f"{PREFIX}UDP_PORT", "WEBRTC_UDP_PORT"),
        description="One UDP port for the media of all sessions; 0: each session has ports of its own. Not set: 8443 "
        "where others reach the server and udp_port_range is empty, else 0",
    )
    udp_port_range: PortRange = Field(
        "",
        validation_alias=AliasChoices(f"{PREFIX}UDP_PORT_RANGE", "WEBRTC_UDP_PORT_RANGE"),
        description="UDP ports that sessions take where each has its own, as 40000-40100; empty: any",
    )
    public_ip: PublicAddresses = Field(
        default=[],
        validation_alias=AliasChoices(f"{PREFIX}PUBLIC_IP", "WEBRTC_PUBLIC_IP"),
        description="Addresses under which a NAT that maps one to one shows this machine, comma-separated, IPv4 or "
        "IPv6; they are offered first",
    )
    ice_interfaces: Interfaces = Field(
        default=[],
        description="What is offered for media, comma-separated: interfaces (eth0, en*), addresses or networks "
        "(10.0.0.0/8); empty: all",
    )
    ice_interfaces_denied: Interfaces = Field(
        default=[], description="What is not offered even so, as docker*,192.168.122.0/24"
    )
    stun_urls: IceUrls = Field(
        default=[],
        validation_alias=AliasChoices(f"{PREFIX}STUN_URLS", "WEBRTC_STUN_URLS"),
        description="STUN URLs, comma-separated",
    )
    turn_urls: IceUrls = Field(
        default=[],
        validation_alias=AliasChoices(f"{PREFIX}TURN_URLS", "WEBRTC_TURN_URLS"),
        description="TURN URLs, comma-separated",
    )
    use_ice_servers: bool = Field(
        True,
        description="Ask the STUN and TURN servers for addresses of this server, too, for every session; false where "
        "peers reach it without: they alone are told of them, and no relay's ports are taken for nothing",
    )
    turn_user: TurnName = Field(
        "", validation_alias=AliasChoices(f"{PREFIX}TURN_USER", "WEBRTC_TURN_USER"), description="TURN user name"
    )
    turn_pass: TurnPassword = Field(
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

    otlp_endpoint: str = Field(
        "",
        validation_alias=AliasChoices(f"{PREFIX}OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        pattern=r"^(https?://[^\s@]+)?$",
        description="Where a span of each utterance is sent, OTLP over HTTP, as http://127.0.0.1:4318; empty: nowhere",
    )
    otlp_service_name: str = Field(
        "whep-avatar",
        validation_alias=AliasChoices(f"{PREFIX}OTLP_SERVICE_NAME", "OTEL_SERVICE_NAME"),
        description="What the server is called there",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged")
    log_json: bool = Field(False, description="One JSON object a log line")

    @property
    def base_path(self) -> str:
        """What is put before a path in a page of ours, and for clients of the original server's."""
        return self.public_base_path or urlsplit(self.public_url).path

    @property
    def base_url(self) -> str:
        """What is put before a path that a client resolves, or that is handed on: all of it where it is known."""
        return self.public_url or self.public_base_path

    @property
    def turn_login(self) -> TurnLogin:
        """How peers log in at the TURN servers."""
        return TurnLogin(
            self.turn_user,
            self.turn_pass.get_secret_value(),
            self.turn_secret.get_secret_value(),
            self.turn_lifetime_s,
        )

    @property
    def udp_ports(self) -> range:
        """What sessions with ports of their own choose from; 0 alone where it is left to the operating system."""
        return media_addresses.port_range(self.udp_port_range)

    @model_validator(mode="after")
    def check_ports(self) -> Self:
        """One way or the other."""
        if self.udp_port and self.udp_port_range:
            raise ValueError("udp_port and udp_port_range exclude each other: one port for all, or one for each")
        return self

    @model_validator(mode="after")
    def check_addresses(self) -> Self:
        """One public address; no key alone."""
        if self.public_url and self.public_base_path not in ("", urlsplit(self.public_url).path):
            raise ValueError("public_url has another path than public_base_path: leave that one out")
        if self.tls_key and not self.tls_certificate:
            raise ValueError("tls_key is of no use without tls_certificate")
        return self

    @field_validator("public_base_path", "public_url")
    @classmethod
    def strip_slash(cls, path: str) -> str:
        """``/`` and ``/avatar/`` mean the same as the empty path and ``/avatar``."""
        return path.rstrip("/")

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
