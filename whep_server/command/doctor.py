"""Check what a server needs on this machine, and say how to get what is missing.

Nothing heavy is imported here: imports are tried in a process of their own, which may crash.
"""

import asyncio
import contextlib
import errno
import importlib.metadata
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import httpx
from aioice.ice import get_host_addresses
from packaging.requirements import InvalidRequirement, Requirement
from rich.console import Console

from avatar.client import open_worker
from avatar.messages import FromWorker, Ready
from whep_server.live.registry import worker_config, worker_limits
from whep_server.rtc.addresses import interfaces, loopback_only, offered, unreachable
from whep_server.rtc.ports import check_port as check_media_port
from whep_server.rtc.shared_port import PortTaken
from whep_server.settings import PREFIX, Settings
from whep_server.web.espeak_ng import find_espeak
from whep_server.web.synthesis import HOW_TO

DISTRIBUTION: Final = "whep-avatar"
OLDEST_PYTHON: Final = (3, 11)
CACHE_BYTES: Final = 200 * 1024 * 1024
"""Ten streams' idle loops: five phases of 8 s at 0.1 to 0.4 MB/s in two codecs."""
PROBE_S: Final = 120
"""Longest time for the probes below; importing torch from a cold disk takes half a minute."""
FRAME_BUDGET: Final = 0.5
"""Share of a frame's time that encoding may take: the network, drawing and sound need the rest."""
DATAGRAM_S: Final = 2.0
ENDPOINT_S: Final = 5.0

IMPORT_PROBE: Final = """
import importlib, json, sys
wrong = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        wrong[name] = f"{type(error).__name__}: {error}"
codecs = []
if "av" not in wrong:
    import av
    for name in ("libx264", "libvpx", "libopus"):
        try:
            av.codec.Codec(name, "w")
        except Exception:
            codecs.append(name)
print(json.dumps({"wrong": wrong, "codecs": codecs}))
"""
MODULES: Final = (
    "aioice",
    "aiortc",
    "av",
    "cv2",
    "httptools",
    "litestar",
    "msgspec",
    "numpy",
    "thorvg_python",
    "torch",
)

SPEED_PROBE: Final = """
import json, sys, time
from fractions import Fraction
import av, numpy
width, height, fps = map(int, sys.argv[1:])
codec = av.CodecContext.create("libx264", "w")
codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuv420p", Fraction(1, fps)
codec.bit_rate, codec.thread_count = 1500000, 1
codec.options = {"preset": "superfast", "tune": "zerolatency", "profile": "baseline"}
still = numpy.random.default_rng(1).integers(16, 235, (height * 3 // 2, width), numpy.uint8)
began = None
for number in range(60):
    if number == 10:
        began = time.perf_counter()
    still[height // 2 : height // 2 + 64, : width // 4] = number * 3 % 255
    frame = av.VideoFrame.from_ndarray(still, format="yuv420p")
    frame.pts = number
    codec.encode(frame)
print(json.dumps({"ms": (time.perf_counter() - began) / 50 * 1000}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome."""

    check: str
    ok: bool
    says: str
    fix: str = ""
    fatal: bool = True
    """Whether a server cannot do its work like this."""


def probe(script: str, *arguments: str) -> dict[str, object] | str:
    """What a script prints as JSON in a process of its own, or why there is nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"nothing came back within {PROBE_S} s"
    if done.returncode != 0:
        return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    return dict(json.loads(done.stdout))


def check_python(_: Settings) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    yield Finding("python", sys.version_info >= OLDEST_PYTHON, version, f"install Python {oldest} or newer")


def unmet(requirement: Requirement) -> str | None:
    """What is wrong with an installed distribution, or None."""
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is not {requirement.specifier}"
    return None


def check_packages(_: Settings) -> Iterator[Finding]:
    """Versions as this package asks for them."""
    fix = f"{sys.executable} -m pip install --upgrade {DISTRIBUTION}  (in a checkout: make run)"
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires(DISTRIBUTION) or []]
    except (importlib.metadata.PackageNotFoundError, InvalidRequirement):
        yield Finding("packages", False, f"{DISTRIBUTION} is not installed: versions unknown", fix, fatal=False)
        return
    wrong = [problem for problem in map(unmet, wanted) if problem]
    yield Finding("packages", not wrong, "; ".join(wrong) or f"{len(wanted)} requirements met", fix)


def check_imports(_: Settings) -> Iterator[Finding]:
    """That what is installed loads, and that PyAV can encode what viewers take."""
    found = probe(IMPORT_PROBE, *MODULES)
    reinstall = f"{sys.executable} -m pip install --force-reinstall {DISTRIBUTION}"
    if isinstance(found, str):
        yield Finding("imports", False, found, reinstall)
        return
    wrong, codecs = found["wrong"], found["codecs"]
    says = "; ".join(f"{name}: {why}" for name, why in wrong.items()) if isinstance(wrong, dict) else ""
    yield Finding("imports", not wrong, says or f"{len(MODULES)} libraries load", reinstall)
    missing = ", ".join(codecs) if isinstance(codecs, list) else ""
    wheel = f"{sys.executable} -m pip install --force-reinstall --only-binary av av"
    yield Finding("encoders", not missing, f"missing: {missing}" if missing else "H.264, VP8, Opus", wheel)


def check_files(settings: Settings) -> Iterator[Finding]:
    """What ships with the package, and the avatar, which may be the user's own."""
    assets = settings.assets
    own = settings.avatars / settings.avatar / "avatar.json"
    wanted = [
        own if own.is_file() else assets / "avatars" / settings.avatar / "avatar.json",
        assets / "viseme" / "weights.pt",
        assets / "player" / "player.js",
        assets / "speech" / "index.json",
        settings.templates / "player.html",
        settings.templates / "landing.html",
    ]
    missing = [str(path) for path in wanted if not (path.is_file() and os.access(path, os.R_OK))]
    fix = f"reinstall the package, or set {PREFIX}ASSETS, {PREFIX}TEMPLATES and {PREFIX}AVATAR to what is there"
    yield Finding("assets", not missing, f"cannot read {', '.join(missing)}" if missing else str(assets), fix)


def check_cache(settings: Settings) -> Iterator[Finding]:
    """Where encoded idle loops are kept."""
    folder = settings.cache
    fix = f"name another folder: {PREFIX}CACHE=/path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("cache", False, f"{folder} cannot be written: {error.strerror}", fix)
        return
    enough = free >= CACHE_BYTES
    yield Finding("cache", enough, f"{folder}, {free // 2**20} MiB free", f"free some space, or {fix}", fatal=False)


def check_port(settings: Settings) -> Iterator[Finding]:
    """Whether a server could listen, or does so already."""
    address = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and ours(settings):
                yield Finding("port", True, f"{address}: a server of ours is running there")
            else:
                yield Finding(
                    "port", False, f"{address}: {error.strerror}", "another one: whep-avatar serve --port 8001"
                )
            return
    yield Finding("port", True, f"{address} is free")


def ours(settings: Settings) -> bool:
    """Whether what listens there answers as a server of ours."""
    try:
        answer = httpx.get(f"http://{settings.host}:{settings.port}/healthz", timeout=3)
        return bool(answer.json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False


def check_media(settings: Settings) -> Iterator[Finding]:
    """Where media is offered, and whether anybody but this machine could come."""
    addresses = offered(settings, get_host_addresses)
    try:
        check_media_port(settings)
    except PortTaken as error:
        says, _, other = str(error).partition("\n")
        running = ours(settings)  # it has taken its media port, too
        yield Finding("media", running, f"{says}{': a server of ours is running' if running else ''}", other)
        return
    told = unreachable(settings, addresses, interfaces())
    where = ", ".join([*settings.public_ip, *addresses])
    ports = settings.udp_port or settings.udp_port_range or "any"
    meant = told is None or loopback_only(settings)
    yield Finding("media", meant, told or f"UDP port {ports} of {where}", "see docs/deployment.md", fatal=False)


def check_udp(_: Settings) -> Iterator[Finding]:
    """That datagrams pass on loopback: some sandboxes allow only TCP."""
    fix = "allow UDP for this program; without it only viewers behind a TURN server over TCP could be reached"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.settimeout(DATAGRAM_S)
            end.bind(("127.0.0.1", 0))
            end.sendto(b"ping", end.getsockname())
            arrived = end.recv(16) == b"ping"
    except OSError as error:
        yield Finding("udp", False, f"no datagram came through: {error}", fix)
        return
    yield Finding("udp", arrived, "datagrams pass on loopback", fix)


def check_text(settings: Settings) -> Iterator[Finding]:
    """What reads text aloud: a server does its other work without it."""
    if not settings.tts_url:
        program = find_espeak()
        says = "nothing here reads text aloud" if program is None else f"read aloud by {program}"
        yield Finding("text", program is not None, says, HOW_TO, fatal=False)
        return
    key = settings.tts_key.get_secret_value()
    fix = f"mend {PREFIX}TTS_URL or {PREFIX}TTS_KEY; empty, text is read by espeak-ng where it is installed"
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        status = httpx.get(f"{settings.tts_url.rstrip('/')}/models", headers=headers, timeout=ENDPOINT_S).status_code
    except httpx.HTTPError as error:
        says = f"{settings.tts_url} cannot be reached: {str(error) or type(error).__name__}"
        yield Finding("text", False, says, fix, fatal=False)
        return
    refused = status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    says = f"{settings.tts_url} does not take the key" if refused else f"read aloud by {settings.tts_url}"
    yield Finding("text", not refused, says, fix, fatal=False)


class Waiter(logging.Handler):
    """Waits for a worker's first ``Ready``, or its end; hears what it logs meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.over = asyncio.Event()
        self.avatars: list[str] | None = None
        self.heard = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last line of an error: of a traceback, the one that says what happened."""
        if record.levelno < logging.ERROR:
            return
        line = self.format(record).strip().splitlines()[-1]
        if record.name == "avatar.client":  # it only says that the worker is gone
            self.over.set()
            line = self.heard or line
        self.heard = line

    def worker_ready(self, ready: Ready) -> None:
        """It is there, and says what it can show."""
        self.avatars = [info.name for info in ready.avatars]
        self.over.set()

    def worker_message(self, message: FromWorker) -> None:
        """Nothing else is asked of it."""

    def worker_lost(self, detail: str) -> None:
        """It ended."""
        self.heard = self.heard or detail
        self.over.set()


async def start_worker(settings: Settings, waiter: Waiter) -> float:
    """Seconds until a worker is ready or has ended; see ``waiter``."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with open_worker(worker_config(settings), worker_limits(settings), waiter):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.worker_start_s):
                await waiter.over.wait()
        return loop.time() - began_s


def check_worker(settings: Settings) -> Iterator[Finding]:
    """That the process that makes speech starts."""
    waiter = Waiter()
    logging.basicConfig(handlers=[waiter], level=logging.WARNING, force=True)
    seconds = asyncio.run(start_worker(settings, waiter))
    if waiter.avatars is None:
        says = f"not ready after {seconds:.1f} s: {waiter.heard or 'it says nothing'}"
        fix = "mend what is said above first; whep-avatar serve --log-level DEBUG says more"
        yield Finding("worker", False, says, fix)
        return
    known = settings.avatar in waiter.avatars
    says = f"ready in {seconds:.1f} s; avatars: {', '.join(waiter.avatars) or 'none'}"
    yield Finding("worker", known, says, f"set {PREFIX}AVATAR to one of them")


def check_speed(settings: Settings) -> Iterator[Finding]:
    """Whether speech can keep up with its pictures: an estimate from encoding alone, which is most of the work."""
    cores = len(os.sched_getaffinity(0))
    found = probe(SPEED_PROBE, str(settings.width), str(settings.height), str(settings.fps))
    if isinstance(found, str):
        yield Finding("speed", False, found, "see the line about encoders")
        return
    ms = float(str(found["ms"]))
    share = ms * settings.fps / 1000
    says = f"{cores} cores; one picture is encoded in {ms:.1f} ms, {share:.0%} of one core at {settings.fps} a second"
    fix = "use a smaller picture or rate: whep-avatar serve --size 512x512 --fps 15"
    yield Finding("speed", share <= FRAME_BUDGET and cores >= 2, says, fix, fatal=share > 1)


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    check_python,
    check_packages,
    check_imports,
    check_files,
    check_cache,
    check_port,
    check_media,
    check_udp,
    check_text,
    check_worker,
    check_speed,
)


def run(settings: Settings) -> int:
    """All checks, each said as soon as it is done. The exit status: 0 where a server would work."""
    console = Console(highlight=False)
    failed = 0
    for check in CHECKS:
        for finding in check(settings):
            mark, style = ("ok", "green") if finding.ok else ("no", "red") if finding.fatal else ("!", "yellow")
            console.print(f"[{style}]{mark:>3}[/] {finding.check:9} ", end="")
            console.print(finding.says, markup=False, soft_wrap=True)
            if not finding.ok:
                console.print(f"{'':14}fix: {finding.fix}", markup=False, soft_wrap=True)
            failed += not finding.ok and finding.fatal
    console.print("all that a server needs is there" if not failed else f"{failed} to be mended", markup=False)
    return 1 if failed else 0
