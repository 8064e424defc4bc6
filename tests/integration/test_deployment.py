"""What docs/deployment.md has a newcomer do, done as it stands there, in a network of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.audio_files import tone, wav
from tests.certificates import Authority
from tests.clients.namespace import ADDRESS, UDP_PORT, Namespace, network_namespace
from tests.clients.proxies import caddy, fingerprint, nginx
from tests.clients.server_process import CACHE, ROOT, START_S, environment, spawned
from tests.clients.waiting import until_now

BASE = f"https://{ADDRESS}"
"""An address instead of a name: nobody here knows names, and Caddy then signs by itself."""


def blocks() -> list[str]:
    """The commands of the walk, in order, for this network."""
    text = (ROOT / "docs/deployment.md").read_text("utf-8")
    section = text.partition("\n## From a fresh machine to a face on the web\n")[2].partition("\n## ")[0]
    return [
        block.replace("avatar.example.org", ADDRESS) for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    ]


INSTALL, SERVE, PROXY, LINK, SPEAK = blocks()
SAMPLE = "assets/speech/greeting.ogg"


@dataclass(frozen=True)
class Walk:
    """How far it went."""

    space: Namespace
    folder: Path

    def shell(self, commands: str) -> str:
        """Run what the document says, with this checkout's command and the files in a folder of the test's."""
        command = commands.replace(".venv/bin/whep-avatar", f"{sys.executable} -m whep_server")
        command = command.replace("sudo ", "").replace("$PWD", str(self.folder))
        command = command.replace("/etc/caddy", str(self.folder)).replace("> avatar", f"> {self.folder}/avatar")
        done = subprocess.run(
            self.space.argv("bash", "-euc", command),
            cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The server of the walk: it listens on loopback, its address is a proxy's."""
    folder = tmp_path_factory.mktemp("walk")
    with network_namespace() as space:
        begun = Walk(space, folder)
        settings, run = SERVE.rsplit("\n", 2)[:2]
        assert run == "make run"  # which is .venv/bin/whep-avatar serve
        begun.shell(settings)
        assert (folder / "avatar.toml").stat().st_mode & 0o077 == 0
        env = environment({"config": str(folder / "avatar.toml"), "cache": str(CACHE / "idle")})
        log = CACHE / f"walk-{space.name}.log"
        with spawned(space.argv(sys.executable, "-m", "whep_server", "serve"), log, env=env) as process:
            address = f"Player: {BASE}/player/demo"
            until_now(lambda: address in log.read_text() or not process.is_running(), START_S, f"the player; see {log}")
            assert process.is_running(), log.read_text()[-4000:]
            yield begun


def short_speech(folder: Path) -> Path:
    """Instead of the sample, which takes seven seconds."""
    assert SAMPLE in SPEAK and (ROOT / SAMPLE).is_file()
    path = folder / "short.wav"
    path.write_bytes(wav(tone(0.3, 440)))
    return path


def test_the_walk_ends_with_a_face_that_speaks_in_a_browser(walk: Walk, monkeypatch: pytest.MonkeyPatch):
    config, reload = PROXY.strip().splitlines()
    walk.shell(config)
    assert reload == "sudo systemctl reload caddy" and "caddy" in INSTALL
    with caddy(walk.space, walk.folder / "Caddyfile", walk.folder) as root:
        monkeypatch.setenv("SSL_CERT_FILE", str(root))
        asked = ["https", "access", "media", "ice"]
        doctor = walk.shell(LINK.replace("doctor", "doctor " + " ".join(f"--only {each}" for each in asked)))
        *found, link = doctor.splitlines()
        assert f"ok https       a server of ours answers at {BASE}" in doctor and "failed" not in doctor, found
        assert link.startswith(f"{BASE}/player/demo#token=")
        signer = fingerprint(root.with_name("intermediate.crt"))
        command = [sys.executable, "-m", "tests.clients.linked_visit", link, signer, "25"]
        seen = walk.space.run_json(command, 120)
        assert seen == {"address": f"{BASE}/player/demo", "secure": True, "errors": []}
        walk.shell(f"{LINK.splitlines()[0]}\n{SPEAK.replace(SAMPLE, str(short_speech(walk.folder)))}")
        through(walk, LINK, 308)


def test_nginx_lets_all_of_it_pass_too(walk: Walk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    certificates = tmp_path / "ssl"
    certificates.mkdir()
    authority = Authority(tmp_path)
    authority.issue(certificates / "avatar.pem", certificates / "avatar.key", ADDRESS)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    with nginx(walk.space, certificates, tmp_path):
        through(walk, LINK, 301)


def through(walk: Walk, token: str, moved: int) -> None:
    """What any proxy has to let pass; from HTTP it leads to HTTPS."""
    *_, made = walk.shell(token.replace("doctor", "--version").replace(" --link", "")).splitlines()
    seen = walk.space.run_json([sys.executable, "-m", "tests.clients.through_proxy", BASE, made, "25"], 120)
    assert str(seen.pop("location")).startswith(f"{BASE}/whep/demo/")
    assert seen == {"played_samples": 9600, "redirect": [moved, f"{BASE}/player/demo?a=b"]}


def test_the_ports_of_the_walk_are_those_that_it_has_opened():
    assert f"udp_port = {UDP_PORT}" in SERVE
