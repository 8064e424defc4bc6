"""Which file of a models folder is missing or wrong, and that it is said."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from avatar.engines.musetalk.model_files import find_faults
from avatar.engines.musetalk.networks import ModelsInvalid, load_networks
from tests.musetalk_models import write_models


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models") / "m")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "m"))


FILES = (
    "musetalkV15/musetalk.json",
    "musetalkV15/unet.pth",
    "sd-vae/config.json",
    "sd-vae/diffusion_pytorch_model.bin",
    "whisper/config.json",
    "whisper/preprocessor_config.json",
    "whisper/pytorch_model.bin",
)


def test_a_whole_folder_has_no_fault_and_is_loaded(whole: Path):
    assert find_faults(whole) == []
    networks = load_networks(whole)
    assert (networks.states, networks.positions, networks.width) == (5, 150, 16)
    assert networks.scaling == 0.18215


def test_what_is_loaded_is_what_was_saved_in_both_formats(whole: Path, tmp_path: Path):
    other = load_networks(write_models(tmp_path / "other", safetensors=True))
    assert (tmp_path / "other" / "sd-vae" / "diffusion_pytorch_model.safetensors").exists()
    one = load_networks(whole)
    for name in ("unet", "vae", "hearing"):
        ours, theirs = getattr(one, name).state_dict(), getattr(other, name).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours) and ours.keys() == theirs.keys()


@pytest.mark.parametrize("name", FILES)
def test_each_missing_file_is_named(copy: Path, name: str):
    (copy / name).unlink()
    (fault,) = find_faults(copy)
    assert str(fault) == f"{copy / name} is missing"
    assert "Hugging Face" in fault.fix
    with pytest.raises(ModelsInvalid, match=Path(name).name):
        load_networks(copy)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"<!doctype html><title>404", "web page"),
        (b"hello", "holds no PyTorch weights"),
        (b"PK\x03\x04 and then nothing", "cut off"),
    ],
)
@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("json")])
def test_what_stands_in_the_place_of_weights_is_said(copy: Path, name: str, content: bytes, says: str):
    (copy / name).write_bytes(content)
    (fault,) = find_faults(copy)
    assert says in str(fault) and name in str(fault)


def test_weights_that_are_cut_off_are_told(copy: Path, tmp_path: Path):
    path = copy / "musetalkV15" / "unet.pth"
    path.write_bytes(path.read_bytes()[:-1000])
    (fault,) = find_faults(copy)
    assert "cut off" in str(fault)
    other = write_models(tmp_path / "other", safetensors=True)
    for name in ("sd-vae/diffusion_pytorch_model.safetensors", "whisper/model.safetensors"):
        (other / name).write_bytes((other / name).read_bytes()[:-8])
    assert ["cut off" in str(fault) for fault in find_faults(other)] == [True, True]


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_configurations_of_other_networks_are_told(copy: Path):
    change(copy / "musetalkV15" / "musetalk.json", in_channels=4)
    change(copy / "sd-vae" / "config.json", latent_channels=16)
    change(copy / "whisper" / "config.json", d_model=512)
    assert [
        next(word for word in ("another UNet", "another VAE", "another Whisper") if word in str(fault))
        for fault in find_faults(copy)
    ] == ["another UNet", "another VAE", "another Whisper"]


def test_no_json_is_told(copy: Path):
    (copy / "sd-vae" / "config.json").write_text("{")
    (copy / "whisper" / "config.json").write_text("[]")
    assert [fault.says for fault in find_faults(copy)] == ["is no JSON", "is no JSON object"]


def test_tensors_that_do_not_fit_are_told_when_they_are_loaded(copy: Path):
    assert find_faults(copy) == []
    path = copy / "musetalkV15" / "unet.pth"
    state = torch.load(path)
    state.pop("conv_in.weight")
    torch.save(state, path)
    with pytest.raises(ModelsInvalid, match=r"unet\.pth does not fit.*conv_in\.weight"):
        load_networks(copy)


@pytest.mark.parametrize("name", ["sd-vae/diffusion_pytorch_model.bin", "whisper/pytorch_model.bin"])
def test_weights_that_lack_something_are_not_filled_up_with_chance(copy: Path, name: str):
    state = torch.load(copy / name)
    state.pop(next(key for key in state if "encoder" in key and key.endswith("weight")))
    torch.save(state, copy / name)
    with pytest.raises(ModelsInvalid, match="1 tensors are missing"):
        load_networks(copy)


def test_weights_that_would_run_something_are_refused(copy: Path, tmp_path: Path):
    torch.save({"conv_in.weight": print}, copy / "musetalkV15" / "unet.pth")
    with pytest.raises(ModelsInvalid, match=r"unet\.pth does not fit"):
        load_networks(copy)
    assert "is no folder" in str(find_faults(tmp_path / "nowhere")[0])
