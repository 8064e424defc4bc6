"""Whether a machine has what a server is made of: interpreter, libraries, encoders, limits, time, what reads text.

Nothing heavy is imported here: imports are tried in a process of their own, which may crash.
"""

import base64
import ctypes
import hashlib
import importlib.metadata
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx
from packaging.requirements import InvalidRequirement, Requirement

from whep_server.command.findings import Finding, probe
from whep_server.rtc.ice_probe import offered_addresses
from whep_server.settings import PREFIX, Settings
from whep_server.web.espeak_ng import find_espeak
from whep_server.web.synthesis import HOW_TO

DISTRIBUTION: Final = "whep-avatar"
OLDEST_PYTHON: Final = (3, 11)
FRAME_BUDGET: Final = 0.5
"""Share of a frame's time that encoding may take: the network, drawing and sound need the rest."""
ENDPOINT_S: Final = 5.0
MADE_IN: Final = 1_767_225_600
"""2026 began then: this program is not older. Units: seconds since 1970."""
OTHER_FILES: Final = 64
"""What the server has open besides its viewers' sockets: libraries' files, the worker, event streams, HTTP."""
UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""

IMPORT_PROBE: Final = """
import importlib, json, sys
wrong = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        wrong[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"wrong": wrong}))
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

ENCODE_PROBE: Final = """
import json, sys
from fractions import Fraction
import av, numpy
def picture(codec):
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 64, "yuv420p", Fraction(1, 25)
    codec.bit_rate = 100000
    frame = av.VideoFrame.from_ndarray(numpy.full((96, 64), 128, numpy.uint8), format="yuv420p")
    frame.pts = 0
    return frame
def sound(codec):
    codec.sample_rate, codec.layout, codec.time_base = 48000, "mono", Fraction(1, 48000)
    codec.format = "s16" if codec.name == "libopus" else "fltp"
    codec.open()
    kind = numpy.int16 if codec.name == "libopus" else numpy.float32
    silence = numpy.zeros((1, codec.frame_size), kind)
    frame = av.AudioFrame.from_ndarray(silence, format=codec.format.name, layout="mono")
    frame.sample_rate, frame.pts = 48000, 0
    return frame
wrong = {}
for name in sys.argv[1:]:
    try:
        codec = av.CodecContext.create(name, "w")
        frame = (picture if codec.type == "video" else sound)(codec)
        if not sum(packet.size for packet in [*codec.encode(frame), *codec.encode(None)]):
            wrong[name] = "nothing comes out"
    except Exception as error:
        wrong[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"wrong": wrong}))
"""
ENCODERS: Final = ("libx264", "libvpx", "libopus", "aac")
"""H.264 and VP8 for viewers' pictures, Opus for their sound, AAC for files of speech."""

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
    """Versions as this package asks for them, and its own files as they were packed."""
    fix = f"{sys.executable} -m pip install --upgrade {DISTRIBUTION}  (in a checkout: make run)"
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires(DISTRIBUTION) or []]
        files = importlib.metadata.files(DISTRIBUTION) or []
    except (importlib.metadata.PackageNotFoundError, InvalidRequirement):
        yield Finding("packages", False, f"{DISTRIBUTION} is not installed: versions unknown", fix, fatal=False)
        return
    wrong = [problem for problem in map(unmet, wanted) if problem]
    yield Finding("packages", not wrong, "; ".join(wrong) or f"{len(wanted)} requirements met", fix)
    changed = [str(file) for file in files if not as_packed(file)]
    count = sum(file.hash is not None for file in files)
    says = f"not as they were packed: {', '.join(changed)}" if changed else f"{count} as they were packed"
    fix = f"{sys.executable} -m pip install --force-reinstall --no-deps {DISTRIBUTION}"
    yield Finding("files", not changed, says, fix, fatal=False)


def as_packed(file: importlib.metadata.PackagePath) -> bool:
    """Whether an installed file has the digest that its wheel named; what has none (a checkout) may be anything."""
    if file.hash is None or file.hash.mode != "sha256":
        return True
    try:
        found = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == file.hash.value


def check_imports(_: Settings) -> Iterator[Finding]:
    """That what is installed loads."""
    found = probe(IMPORT_PROBE, *MODULES)
    reinstall = f"{sys.executable} -m pip install --force-reinstall {DISTRIBUTION}"
    says = found if isinstance(found, str) else in_words(found)
    yield Finding("imports", not says, says or f"{len(MODULES)} libraries load", reinstall)


def check_encoders(_: Settings, names: Sequence[str] = ENCODERS) -> Iterator[Finding]:
    """That PyAV encodes what viewers take: a frame with each."""
    found = probe(ENCODE_PROBE, *names)
    wheel = f"{sys.executable} -m pip install --force-reinstall --only-binary av av"
    says = found if isinstance(found, str) else in_words(found)
    yield Finding("encoders", not says, says or f"a frame was encoded with each of {', '.join(names)}", wheel)


def in_words(found: dict[str, object]) -> str:
    """What is wrong with what; empty where nothing is."""
    wrong = found["wrong"]
    return "; ".join(f"{name}: {why}" for name, why in wrong.items()) if isinstance(wrong, dict) else ""


def check_limits(settings: Settings) -> Iterator[Finding]:
    """Open files: each viewer has one for each address that is offered, one for TURN, and one more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = len(offered_addresses(settings)) + bool(settings.turn_urls) + 1
    needed = settings.max_viewers * each + OTHER_FILES
    says = f"{soft} at most; {settings.max_viewers} viewers need {needed}"
    room = "" if hard == resource.RLIM_INFINITY or hard >= needed else " (as root: the hard limit is lower)"
    fix = f"ulimit -n {needed}{room}, LimitNOFILE= in a unit of systemd, or a lower {PREFIX}MAX_VIEWERS"
    yield Finding("open files", soft == resource.RLIM_INFINITY or soft >= needed, says, fix, fatal=False)


def kernel_keeps_time() -> bool | None:
    """Whether something (NTP) holds the kernel's clock; None where it does not say."""
    timex = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; zero modes: nothing is set
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    return None if state < 0 else bool(state != UNSYNCHRONISED)


def check_time(settings: Settings) -> Iterator[Finding]:
    """The clock: certificates and passwords that expire are judged by it."""
    now_s = time.time()
    says = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    fix = "set the clock, and run an NTP client"
    if now_s < MADE_IN:
        yield Finding("time", False, f"{says} is before this program was made", fix)
        return
    kept = kernel_keeps_time()
    says += {True: ", kept by NTP", False: ", not kept by NTP as far as the kernel knows", None: ""}[kept]
    expiring = bool(settings.turn_secret.get_secret_value())
    says += "; TURN passwords expire by it" if expiring else ""
    yield Finding("time", kept is not False or not expiring, says, fix, fatal=False)


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
