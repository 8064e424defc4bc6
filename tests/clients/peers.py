"""Third-party WebRTC clients as commands: where `make peers` puts them, how they are run, what they report.

Every command prints one JSON object as its last line, but FFmpeg, which reports nothing. Players: ``video`` (complete
pictures), ``audio`` (packets or buffers), ``location`` and ``deleted`` (the session, and the status of its DELETE).
Publishers: ``location`` and ``deleted``, as far as the client tells.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.clients.server_process import CACHE, ROOT, spawned
from tests.clients.waiting import until_now

SOURCES = ROOT / "tests" / "peers"
BUILT = ROOT / ".cache" / "peers"
PAGES = BUILT / "pages"
PION = BUILT / "pion_player"
TURN = BUILT / "turn_server"
PACKAGES = BUILT / "node_modules"
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that has GStreamer's bindings

Report = dict[str, object]


def need(path: str | Path) -> str:
    """A tool's path.

    Errors: AssertionError that says what to install, where it is missing; a peer that cannot run is not a peer that
    passed.
    """
    found = shutil.which(str(path)) or (str(path) if Path(path).exists() else None)
    assert found, f"{path} is missing: `make peers` and `make debian` install what the tests run (as root on Debian)"
    return found


def node(script: str, *arguments: str) -> list[str]:
    """The command line of a client that runs in Node."""
    need(PACKAGES)
    return [need("node"), str(SOURCES / script), *arguments]


def pion(*arguments: str) -> list[str]:
    """The command line of the pion player."""
    return [need(PION), *arguments]


@contextmanager
def turn_server(user: str, password: str, secret: str) -> Iterator[int]:
    """A STUN and TURN server on loopback; its port, UDP and TCP."""
    log = CACHE / f"turn-{os.getpid()}.log"
    with spawned([need(TURN), user, password, secret], log):
        yield int(until_now(lambda: log.read_text().strip(), 20, "the TURN server's port"))


def gstreamer(script: str, *arguments: str) -> list[str]:
    """The command line of a client that runs on GStreamer's bindings."""
    return [need(DEBIAN_PYTHON), str(Path(__file__).with_name(script)), *arguments]


def parse_report(output: bytes) -> Report:
    """The JSON object of the last line; an empty one of a program that is not ours, as FFmpeg."""
    lines = output.decode(errors="replace").splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


class RunningPeer:
    """A client that runs."""

    def __init__(self, command: Sequence[str], process: asyncio.subprocess.Process) -> None:
        self._command = command
        self._process = process

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def report(self, seconds: float) -> Report:
        """Wait for its end, and what it reports.

        Errors: AssertionError with all it said, where it failed or took longer.
        """
        try:
            async with asyncio.timeout(seconds):
                output, errors = await self._process.communicate()
        except TimeoutError as late:
            self._process.kill()
            output, errors = await self._process.communicate()
            raise AssertionError(f"not within {seconds:g} s: {self._said(output, errors)}") from late
        assert self._process.returncode == 0, self._said(output, errors)
        return parse_report(output)

    def _said(self, output: bytes, errors: bytes) -> str:
        text = "\n".join(each[-4000:].decode(errors="replace") for each in (output, errors))
        return f"{' '.join(self._command)}\nstatus {self._process.returncode}\n{text}"


@asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[RunningPeer]:
    """Start a client; it is ended, if it still runs, when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield RunningPeer(command, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(command: Sequence[str], seconds: float) -> Report:
    """Run a client to its end.

    Errors: AssertionError as in `RunningPeer.report`.
    """
    async with running(command) as peer:
        return await peer.report(seconds)
