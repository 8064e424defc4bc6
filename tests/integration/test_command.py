"""The ``whep-avatar`` command as a person uses it: real processes, the real worker."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.audio_files import tone, wav
from tests.clients.event_log import listening
from tests.clients.server_process import CACHE, ROOT, Server, environment
from tests.clients.waiting import until
from whep_server import __version__
from whep_server.command.check_network import check_media
from whep_server.command.doctor import CHECKS
from whep_server.settings import Settings

pytestmark = pytest.mark.timeout(400)  # the first server waits for the idle loop to be encoded

COMMAND = (sys.executable, "-m", "whep_server")
SMALL = {"cache": str(CACHE / "idle"), "width": "512", "height": "512", "fps": "10"}
START_S = 150.0


@dataclass
class Served:
    """A ``serve`` process and what it says."""

    process: asyncio.subprocess.Process
    lines: list[str]

    @property
    def base(self) -> str:
        return self.player().partition("/player/")[0]

    def player(self) -> str:
        return next((line.partition("Player: ")[2] for line in self.lines if "Player: " in line), "")


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[Served]:
    """``whep-avatar serve`` on a free port, ready."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "--port", "0", *arguments,
        cwd=ROOT, env=environment(SMALL), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    running = Served(process, [])
    assert process.stdout is not None
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read_lines(process.stdout, running.lines))
        try:
            await until(lambda: running.player() or process.returncode is not None, START_S, "player's address")
            assert process.returncode is None, running.lines
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            async with asyncio.timeout(15):
                await process.wait()
            reader.cancel()


async def read_lines(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode().rstrip())


async def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, str]:
    """A command that ends by itself: its exit status and all it wrote."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=ROOT, env=env or environment({}),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(150):
        output, _ = await process.communicate(stdin)
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_status_0_and_nothing_left(stop):
    async with served() as running:
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(family) == 1
        async with listening(running.base) as events:
            utterance = (await post_speech(running.base, wav(tone(30.0, rate=8000), rate=8000))).json()["utterance"]
            await events.wait(20, "speech", state="started", utterance=utterance)
            running.process.send_signal(stop)
            async with asyncio.timeout(15):
                status = await running.process.wait()
        assert status == 0, running.lines
        await until(lambda: not any(child.is_running() for child in family), 10, "worker gone")
        assert not [line for line in running.lines if "Traceback" in line], running.lines


async def post_speech(base: str, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return (await client.post(f"{base}/streams/demo/speech", content=body)).raise_for_status()


async def test_serve_says_what_it_waits_for_and_the_players_address_last():
    async with served("--stream", "lobby", "--fps", "15") as running:
        assert running.lines[-1] == f"[server] Player: {running.base}/player/lobby"
        assert any("listening on" in line for line in running.lines)
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            assert (await client.get(running.player())).status_code == 200
            assert (await client.get(f"{running.base}/streams/lobby")).json()["fps"] == 15


async def test_a_taken_port_is_said_so(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, output = await run("serve", "--port", str(taken.getsockname()[1]))
    assert status == 1 and "cannot listen on 127.0.0.1" in output and "Traceback" not in output


async def test_a_taken_media_port_is_said_so_and_by_the_doctor_too():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        number = str(taken.getsockname()[1])
        status, output = await run("serve", "--port", "0", "--udp-port", number)
        assert status == 1 and f"UDP port {number} of 127.0.0.1" in output and "Traceback" not in output
        (finding,) = check_media(Settings(udp_port=int(number), port=1))
    assert not finding.ok and finding.fatal and number in finding.says and "--udp-port" in finding.fix


async def test_say_waits_until_it_is_spoken(server: Server, tmp_path: Path):
    file = tmp_path / "tone.wav"
    file.write_bytes(wav(tone(0.5)))
    async with listening(server.base) as events:
        assert (await run("say", "demo", str(file), "--url", server.base))[0] == 0
        assert events.find("speech", state="finished")
    assert (await run("say", "demo", "-", "--url", server.base, stdin=file.read_bytes()))[0] == 0
    assert (await run("say", "demo", "--text", "Hello.", "--url", server.base))[0] == 0


async def test_say_sends_samples_as_they_are_made(server: Server):
    samples = (tone(0.5, 300, 24_000, 0.5) * 32_767).astype("<i2").tobytes()
    async with listening(server.base) as events:
        status, output = await run("say", "demo", "-", "--rate", "24000", "--url", server.base, stdin=samples)
        assert status == 0, output
        assert events.find("speech", state="finished", played_s=0.5)
    status, output = await run("say", "demo", "-", "--rate", "7000", "--url", server.base, stdin=samples)
    assert status == 1 and "400: sample_rate" in output


async def test_interrupt_has_it_fall_silent(server: Server):
    async with listening(server.base) as events:
        await post_speech(server.base, wav(tone(60)))
        await events.wait(20, "speech", state="started")
        status, output = await run("interrupt", "--url", server.base)
        assert status == 0 and output.startswith("silent: cut off after "), output
        await events.wait(10, "speech", state="interrupted")
    assert await run("interrupt", "--url", server.base) == (0, "silent: nothing was being spoken\n")
    assert (await run("interrupt", "nobody", "--url", server.base))[0] == 1
    assert "no server answers" in (await run("interrupt", "--url", "http://127.0.0.1:9"))[1]


async def test_say_tells_why_it_was_not_spoken(server: Server, tmp_path: Path):
    file = tmp_path / "text.wav"
    file.write_text("not audio")
    for arguments, reason in (
        (("demo", str(file), "--url", server.base), "422"),
        (("nobody", str(file), "--url", server.base), "404"),
        (("demo", str(tmp_path / "missing.wav"), "--url", server.base), "No such file"),
        (("demo", str(file), "--url", "http://127.0.0.1:9"), "no server answers"),
    ):
        status, output = await run("say", *arguments)
        assert status == 1 and reason in output and "Traceback" not in output, output


@pytest.mark.alone  # it judges how fast the machine is
async def test_doctor_finds_all_well_and_a_running_server(server: Server):
    port = server.base.rpartition(":")[2]
    status, output = await run("doctor", env=environment({"port": port, "cache": str(CACHE / "idle")}))
    assert status == 0, output
    found = re.findall(r"^ *(ok|warning|failed) (\w.*?)  ", output, re.MULTILINE)
    wanted = (
        "settings",
        "python",
        "imports",
        "encoders",
        "assets",
        "avatars",
        "cache",
        "port",
        "udp",
        "media",
        "text",
        "worker",
    )
    assert {("ok", check) for check in (*wanted, "drawing")} <= set(found), output
    assert f"a server of ours is running there, version {__version__}" in output
    assert output.endswith("all that a server needs is there, 1 warning\n")  # it is on loopback


async def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path: Path):
    assert await run("doctor", "--only", "health") == (2, f"no such check: health; there are {', '.join(CHECKS)}\n")
    status, output = await run("doctor", "--only", "assets", env=environment({"assets": str(tmp_path)}))
    assert status == 1 and " failed assets " in output and "fix: reinstall" in output and "1 to be mended" in output
    status, output = await run("doctor", "--port", "70000")
    assert status == 1 and " failed settings    port: " in output and "Traceback" not in output


async def test_the_small_commands(tmp_path: Path):
    for arguments in (("say", "demo"), ("say", "demo", "a.wav", "--text", "b")):
        assert await run(*arguments) == (2, "name either a file or --text\n")
    assert await run("say", "demo", "--text", "b", "--rate", "8000") == (2, "--rate belongs to a file\n")
    assert (await run("--version")) == (0, f"whep-avatar {__version__}\n")
    status, output = await run("serve", "--print-settings", "--size", "640x360", "--fps", "30")
    assert status == 0 and "width = 640" in output and "fps = 30" in output
    assert all(f"{name} = " in output for name in Settings.model_fields)
    status, output = await run("serve", "--fps", "24", "--port", "70000")
    assert status == 2 and "fps" in output and "port" in output and "Traceback" not in output
    assert (await run("serve", "--size", "big"))[0] == 2
    status, output = await run("serve", env=dict(os.environ) | {"WHEP_AVATAR_CONFIG": str(tmp_path / "none.toml")})
    assert status == 2 and "none.toml" in output and "Traceback" not in output
    status, output = await run("bench", "nothing-of-that-name")
    assert status != 0 and "Traceback" not in output
