"""Run the server in this process until it is told to stop, saying what a slow start is waiting for."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn
import uvloop
from litestar import Litestar

from whep_server.app import OpenRegistry, create_app
from whep_server.command.certificate import LiveCertificate, files_of
from whep_server.command.heads import HEAD_S, PatientProtocol
from whep_server.command.own_address import origin
from whep_server.rtc.addresses import only_here
from whep_server.rtc.ports import check_port
from whep_server.settings import Settings
from whep_server.signaling.tokens import Scope
from whep_server.tracing.endpoint import check_installed
from whep_server.web.auth import is_asked
from whep_server.web.closing import Closing
from whep_server.web.handshake import with_refusals
from whep_server.web.on_air import Registry
from whep_server.web.pcm_messages import MAX_MESSAGE_BYTES

GRACE_S: Final = 3
"""What requests under way get when the server is to end."""
BACKLOG: Final = 512
FAREWELL_S: Final = 1
"""What who stays connected gets to say goodbye before that."""
PING_S: Final = 20
"""Keeps a WebSocket that is silent open at proxies, which close it after 30 to 60 s."""
WS_BYTES: Final = 4 * MAX_MESSAGE_BYTES
"""A message up to here is refused in words (``web/pcm.py``), a larger one by the close frame alone."""
PROGRESS_S: Final = 0.2
"""How often the start's progress is looked at."""


class PortTaken(OSError):
    """Nobody can listen there now."""


class Exposed(Exception):
    """It would be open to whoever reaches it."""


async def no_drain() -> None:
    """Nothing is waited for."""


class Loop(uvloop.Loop):
    """Uvloop's, whose TLS handshakes are waited for as heads are; by itself it has a minute's patience."""

    async def create_server(self, *args: Any, **options: Any) -> Any:  # uvloop has overloads for it
        """As uvloop's."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = HEAD_S
        return await super().create_server(*args, **options)


class Server(uvicorn.Server):
    """A server that ends open event streams first, and whose end by a signal is an ordinary end (exit status 0)."""

    def __init__(self, config: uvicorn.Config, closing: Closing, drain: Callable[[], Awaitable[None]]) -> None:
        """``drain`` returns when what was accepted is done; meanwhile requests are answered as ever."""
        super().__init__(config)
        self._closing = closing
        self._drain = drain
        self._told = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: drain, then end; Ctrl-C, or any second signal: end; Ctrl-C once more: without goodbyes."""
        if sig == signal.SIGTERM and not self._told.is_set():
            self._told.set()  # the loop sees it at its next tick, as it sees should_exit
            return
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def main_loop(self) -> None:
        """Uvicorn's, which ends when it should exit; that is when all is done, after SIGTERM."""
        async with asyncio.TaskGroup() as group:
            drainer = group.create_task(self._end_when_drained(), name="drain")
            await super().main_loop()
            drainer.cancel()

    async def _end_when_drained(self) -> None:
        await self._told.wait()
        try:
            await self._drain()
        finally:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What would stay open for ever is told to end, then uvicorn waits for the rest within its grace time."""
        self._closing.set()
        await self._closing.until_left(FAREWELL_S)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Errors: PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio sets TCP_NODELAY only where it is: else a body waits 40 ms for its head to be acknowledged.
    server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    server.setblocking(False)
    return server


def is_exposed(settings: Settings) -> bool:
    """Whether strangers could make it speak."""
    return not only_here(settings) and not is_asked(settings, Scope.SPEAK)


def check_exposure(settings: Settings) -> None:
    """Errors: Exposed where strangers could make it speak, and nobody said that they may."""
    if settings.insecure or not is_exposed(settings):
        return
    raise Exposed(
        f"not serving on {settings.public_url or settings.host}: whoever reaches that address could watch, and make it "
        "speak.\n"
        "Set WHEP_AVATAR_PUBLISH_TOKEN or WHEP_AVATAR_TOKEN_SECRETS (docs/security.md), or say that it is meant: "
        "--insecure"
    )


def address_of(server: socket.socket, *, tls: bool = False) -> str:
    """``http://HOST:PORT`` of a listening socket; see ``own_address.origin``."""
    return origin(*server.getsockname()[:2], tls=tls)


def believed(proxies: Iterable[str]) -> list[str]:
    """As uvicorn compares them: a socket that listens on ``::`` shows IPv4 as ``::ffff:127.0.0.1``."""
    found: list[str] = []
    for proxy in proxies:
        found.append(proxy)
        if proxy != "*" and (network := ipaddress.ip_network(proxy)).version == 4:
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return found


def make_server(
    app: Litestar,
    closing: Closing,
    settings: Settings,
    *,
    drain: Callable[[], Awaitable[None]] = no_drain,
    certificate: LiveCertificate | None = None,
) -> Server:
    """Uvicorn as this server needs it. ``drain`` as in ``Server``; without ``certificate`` it is HTTP."""
    logging.getLogger("uvicorn.access").disabled = True  # it writes session URLs, which are capabilities
    config = uvicorn.Config(
        with_refusals(app, app.state["cors"]),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=WS_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=None,  # a pong waits behind what is not read yet, and that is read as it is played
        ws_per_message_deflate=False,  # speech does not shrink, and a message that grows takes memory before it is seen
        http=PatientProtocol,
        forwarded_allow_ips=believed(settings.trusted_proxies),
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
    )
    return Server(config, closing, drain)


def waiting_for(registry: Registry, demo: str) -> str | None:
    """What the start is waiting for, in words; None when all is ready."""
    if registry.ready:
        return None
    stream = next((stream for stream in registry.streams() if stream.name == demo), None)
    if not registry.avatars:
        return "starting the worker: loading its models"
    if stream is None:
        return "putting the avatar on air"
    return "encoding the idle loop; its parts are kept, so the next start is quick"


class ProgressHandler(logging.Handler):
    """The worker's account of its encoding, as lines of progress."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._say(record.getMessage())


@contextlib.contextmanager
def encoding_shown(say: Callable[[str], None], log_level: str) -> Iterator[None]:
    """The encoding of idle loops as progress inside the block; after it not at all, unless all is logged.

    What goes on being encoded after the start (VP8) must not scroll the player's address away.
    """
    encoding = logging.getLogger("avatar.idle_loop")
    handler = ProgressHandler(say)
    encoding.addHandler(handler)
    encoding.propagate = False
    try:
        yield
    finally:
        encoding.removeHandler(handler)
        encoding.propagate = True
        if log_level != "DEBUG":
            encoding.setLevel(logging.WARNING)


async def report_start(registry: Registry, settings: Settings, base: str, say: Callable[[str], None]) -> None:
    """A line for each slow step, and the player's address last."""
    last = None
    with encoding_shown(say, settings.log_level):
        while (step := waiting_for(registry, settings.demo_stream)) is not None:
            if step != last:
                say(step)
                last = step
            await asyncio.sleep(PROGRESS_S)
    say(f"ready; the API is at {base}, press Ctrl-C to stop")
    path = f"/player/{settings.demo_stream}" if settings.demo_stream else "/"
    if settings.demo_stream and settings.token_secrets.get_secret_value():
        command = f"whep-avatar token --scope watch --stream {settings.demo_stream} --link"
        say(f"tokens are asked for; a link with one: {command}")
    say(f"Player: {base}{path}")


async def run(
    settings: Settings,
    open_registry: OpenRegistry,
    listener: socket.socket,
    certificate: LiveCertificate | None,
    say: Callable[[str], None],
) -> None:
    """Serve until a signal comes."""
    closing = Closing()
    base = settings.public_url or address_of(listener, tls=certificate is not None)
    opened: list[Registry] = []

    async def drain() -> None:
        for registry in opened:
            await registry.drain(settings.drain_s)

    @contextlib.asynccontextmanager
    async def open_and_report(given: Settings) -> AsyncIterator[Registry]:
        async with open_registry(given) as registry, asyncio.TaskGroup() as group:
            reporter = group.create_task(report_start(registry, settings, base, say), name="report-start")
            tasks = [reporter]
            if certificate is not None:
                tasks.append(group.create_task(certificate.follow(), name="follow-certificate"))
            opened.append(registry)
            try:
                yield registry
            finally:
                for task in tasks:
                    task.cancel()

    expires_s = None if certificate is None else certificate.expires_s
    app = create_app(settings, open_and_report, closing, expires_s)
    await make_server(app, closing, settings, drain=drain, certificate=certificate).serve([listener])


def open_certificate(settings: Settings, say: Callable[[str], None]) -> LiveCertificate | None:
    """The one to serve with; None without HTTPS. Errors: WrongCertificate."""
    files = files_of(settings)
    if files is None:
        return None
    certificate = LiveCertificate(files)
    say(f"certificate: {certificate}")
    if files.key_is_open:
        say(f"everybody on this machine may read the key: chmod 600 {files.key}")
    return certificate


def serve(settings: Settings, open_registry: OpenRegistry, say: Callable[[str], None]) -> None:
    """Listen, then serve on uvloop.

    Errors: Exposed, PortTaken, TracingMissing, WrongCertificate, and that of ``rtc.ports``.
    """
    check_exposure(settings)
    check_installed(settings)
    certificate = open_certificate(settings, say)
    check_port(settings)  # it is taken only when the event loop runs, where it could not be said so plainly
    with listen(settings.host, settings.port) as listener:
        say(f"listening on {address_of(listener, tls=certificate is not None)}")
        if is_exposed(settings):
            say("no token is asked for: whoever reaches it may make it speak")
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(run(settings, open_registry, listener, certificate, say))
