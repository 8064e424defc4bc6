"""What the doctor says of MuseTalk's models: real probes in processes of their own."""

from pathlib import Path

from tests.musetalk_models import write_models
from whep_server.command.check_models import check_models
from whep_server.command.findings import Finding
from whep_server.settings import Settings


def said(folder: Path | str, **settings: object) -> list[Finding]:
    return list(check_models(Settings.model_validate({"musetalk_models": str(folder), **settings})))


def test_without_a_folder_nothing_is_wrong():
    (finding,) = said("")
    assert finding.ok and "MUSETALK_MODELS" in finding.says


def test_each_missing_or_wrong_file_has_a_line_and_a_server_works_without(tmp_path: Path):
    folder = write_models(tmp_path / "models")
    (folder / "whisper" / "config.json").unlink()
    (folder / "musetalkV15" / "unet.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    findings = said(folder)
    assert [finding.says.split(str(folder))[1] for finding in findings] == [
        "/whisper/config.json is missing",
        "/musetalkV15/unet.pth is a Git LFS pointer, not the file itself: git lfs pull",
    ]
    assert all(finding.fix and not finding.ok and not finding.fatal for finding in findings)
    (finding,) = said(tmp_path / "nowhere")
    assert "is no folder" in finding.says


def test_whole_models_are_loaded_and_the_device_is_named(tmp_path: Path):
    folder = write_models(tmp_path / "models")
    loaded, device = said(folder, musetalk_device="cpu")
    assert loaded.ok and "was loaded; diffusers" in loaded.says
    assert not device.ok and not device.fatal and "on cpu in float32" in device.says
    (finding,) = said(folder, musetalk_device="cuda:7")
    assert not finding.ok and "'cuda:7' cannot be used" in finding.says
