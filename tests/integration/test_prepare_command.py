from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.portraits import SIZE, portrait
from whep_server.__main__ import app


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("WHEP_AVATAR_AVATARS", str(tmp_path / "avatars"))
    return CliRunner()


def test_a_video_becomes_an_avatar_with_progress(runner: CliRunner, tmp_path: Path):
    video = portrait(tmp_path / "portrait.mp4", 25)
    arguments = ["prepare", str(video), "--name", "Anna.1", "--title", "Anna", "--size", f"{SIZE[0]}x{SIZE[1]}"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    steps = [line.split("%")[0].strip() for line in result.output.splitlines() if line[3:5] == " %"]
    assert len(steps) > 4 and steps == sorted(steps, key=int)
    assert "whep-avatar serve --avatar Anna.1" in result.output
    assert [path.name for path in (tmp_path / "avatars").iterdir()] == ["Anna.1"]
    assert "Anna (experimental)" in (tmp_path / "avatars" / "Anna.1" / "avatar.json").read_text()
    again = runner.invoke(app, arguments)
    assert again.exit_code == 1 and "--replace" in again.output


@pytest.mark.parametrize(("name", "says"), [("nova", "shipped"), ("../x", "no avatar's name"), ("a", "not a video")])
def test_what_cannot_be_made_is_said(runner: CliRunner, tmp_path: Path, name: str, says: str):
    video = tmp_path / "junk.mp4"
    video.write_bytes(b"junk")
    result = runner.invoke(app, ["prepare", str(video), "--name", name])
    assert result.exit_code == 1 and says in result.output
    assert list((tmp_path / "avatars").glob("*")) == []
