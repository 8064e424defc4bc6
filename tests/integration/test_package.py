"""The wheel is the product: installed elsewhere, started from an empty folder, it serves its pages and goes on air."""

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx
import pytest

from tests.clients.server_process import ROOT, running_server

pytestmark = pytest.mark.timeout(400)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end; what it printed."""
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a fresh environment with the wheel in it, the dependencies taken from ours."""
    folder = tmp_path_factory.mktemp("package")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", environment / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing in it."""
    return tmp_path


def test_the_wheel_is_what_runs(installed: Path, empty: Path):
    where = run(installed / "python", "-c", "import whep_server; print(whep_server.__file__)", cwd=empty)
    assert where.startswith(str(installed.parent))


@pytest.mark.alone  # it judges how fast the machine is
def test_doctor_finds_nothing_missing(installed: Path, empty: Path):
    said = run(installed / "whep-avatar", "doctor", cwd=empty)
    assert re.search(r" ok files +\d\d\d+ as they were packed", said), said


def test_player_and_assets_are_served(installed: Path, empty: Path):
    command = (str(installed / "whep-avatar"), "serve")
    with (
        running_server(log_name="package", command=command, cwd=empty) as server,
        httpx.Client(base_url=server.base, timeout=20, trust_env=False) as client,
    ):
        page = client.get("/player/demo").raise_for_status().text
        linked = set(re.findall(r"""["'](/assets/[^"'?#]+)""", page))
        assert linked
        for path in sorted(linked):
            assert client.get(path).raise_for_status().content, path
        assert client.get("/assets/speech/index.json").raise_for_status().json()
    assert not list(empty.iterdir())
