"""The files of MuseTalk 1.5 in a models folder, as the official repository lays them out: found, and looked at.

    musetalkV15/musetalk.json, unet.pth                                     the UNet
    sd-vae/config.json, diffusion_pytorch_model.bin or .safetensors         the VAE (or in sd-vae-ft-mse)
    whisper/config.json, preprocessor_config.json, pytorch_model.bin or model.safetensors

Only headers are read here: what is missing, cut off, or something else than its name says is found in milliseconds and
without torch. Whether the tensors fit the networks shows when they are loaded (``networks``).
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = {
    "musetalkV15": "TMElyralab/MuseTalk",
    "sd-vae": "stabilityai/sd-vae-ft-mse",
    "whisper": "openai/whisper-tiny",
}
"""Folder to the repository on Hugging Face that its files come from."""
_VAE_FOLDERS: Final = ("sd-vae", "sd-vae-ft-mse")
_VAE_WEIGHTS: Final = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_WHISPER_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_MOST_JSON: Final = 4 * 1024 * 1024
_MOST_HEADER: Final = 64 * 1024 * 1024
LATENT_CHANNELS: Final = 4
VAE_LEVELS: Final = 4
"""Each halves a side, but for one: 256 pixels are 32 latents."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """One file that cannot be used."""

    path: Path
    says: str
    """Why, in words that follow the path."""
    fix: str

    def __str__(self) -> str:
        return f"{self.path} {self.says}"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where everything is."""

    unet_config: Path
    unet: Path
    vae: Path
    """The folder."""
    vae_weights: Path
    whisper: Path
    """The folder."""
    whisper_weights: Path


def find_models(folder: Path) -> ModelFiles:
    """The files that a models folder would have; of two possible names the one that is there."""
    vae = next((path for name in _VAE_FOLDERS if (path := folder / name).is_dir()), folder / _VAE_FOLDERS[0])
    whisper = folder / "whisper"
    return ModelFiles(
        folder / "musetalkV15" / "musetalk.json",
        folder / "musetalkV15" / "unet.pth",
        vae,
        _there(vae, _VAE_WEIGHTS),
        whisper,
        _there(whisper, _WHISPER_WEIGHTS),
    )


def _there(folder: Path, names: tuple[str, ...]) -> Path:
    return next((path for name in names if (path := folder / name).exists()), folder / names[-1])


def find_faults(folder: Path) -> list[FileFault]:
    """All that is wrong with a models folder, as far as headers tell; empty where nothing is."""
    if not folder.is_dir():
        return [FileFault(folder, "is no folder", "name the folder that holds musetalkV15, sd-vae and whisper")]
    return list(_faults(find_models(folder)))


def _faults(files: ModelFiles) -> Iterator[FileFault]:
    configs: dict[Path, Mapping[str, object]] = {}
    wanted = (files.unet_config, files.vae / "config.json", files.whisper / "config.json")
    for path in (*wanted, files.whisper / "preprocessor_config.json"):
        try:
            configs[path] = _read_json(path)
        except (OSError, ValueError) as error:
            yield _fault(path, _reason(error))
    for path in (files.unet, files.vae_weights, files.whisper_weights):
        try:
            _check_weights(path)
        except (OSError, ValueError) as error:
            yield _fault(path, _reason(error))
    if all(path in configs for path in wanted):
        yield from _misfits(files, *(configs[path] for path in wanted))


def _misfits(
    files: ModelFiles, unet: Mapping[str, object], vae: Mapping[str, object], whisper: Mapping[str, object]
) -> Iterator[FileFault]:
    """Configurations that are of other networks than these."""
    channels = unet.get("in_channels"), unet.get("out_channels")
    if channels != (2 * LATENT_CHANNELS, LATENT_CHANNELS):
        says = f"is of another UNet: {channels[0]} channels in and {channels[1]} out, not 8 and 4"
        yield _fault(files.unet_config, says)
    blocks = vae.get("block_out_channels")
    levels = len(blocks) if isinstance(blocks, list) else 0
    if vae.get("latent_channels") != LATENT_CHANNELS or levels != VAE_LEVELS:
        says = f"is of another VAE: {vae.get('latent_channels')} latent channels on {levels} levels, not 4 on 4"
        yield _fault(files.vae / "config.json", says)
    if whisper.get("d_model") != unet.get("cross_attention_dim"):
        says = (
            f"is of another Whisper: width {whisper.get('d_model')}, the UNet takes {unet.get('cross_attention_dim')}"
        )
        yield _fault(files.whisper / "config.json", f"{says} (the tiny one is meant)")


def _fault(path: Path, says: str) -> FileFault:
    folder = "sd-vae" if path.parent.name in _VAE_FOLDERS else path.parent.name
    return FileFault(path, says, f"fetch it anew from {SOURCES[folder]} on Hugging Face, to {path.parent}")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error)


def _read_json(path: Path) -> Mapping[str, object]:
    """Errors: OSError, ValueError with what to say."""
    if path.stat().st_size > _MOST_JSON:
        raise ValueError("is too large for a configuration")
    data = path.read_bytes()
    _refuse_stand_in(data)
    try:
        content = json.loads(data)
    except ValueError:
        raise ValueError("is no JSON") from None
    if not isinstance(content, dict):
        raise ValueError("is no JSON object")
    return content


def _check_weights(path: Path) -> None:
    """Errors: OSError, ValueError with what to say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
        if not head:
            raise ValueError("is empty")
        _refuse_stand_in(head)
        if path.suffix == ".safetensors":
            length = int.from_bytes(head[:8], "little")
            if not 2 <= length <= min(size - 8, _MOST_HEADER):
                raise ValueError("is no safetensors file, or is cut off in its header")
            file.seek(8)
            _check_safetensors(file.read(length), size - 8 - length)
            return
    if head[:2] == b"PK":
        try:
            zipfile.ZipFile(path).close()
        except zipfile.BadZipFile:
            raise ValueError("is cut off: a download that did not end") from None
    elif head[:1] != b"\x80":  # what PyTorch wrote before 1.6 is a bare pickle
        raise ValueError("holds no PyTorch weights")


def _check_safetensors(header: bytes, data_bytes: int) -> None:
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        wanted = max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise ValueError("is no safetensors file: its header cannot be read") from None
    if wanted != data_bytes:
        raise ValueError(f"is cut off: {data_bytes} bytes of tensors of {wanted}")


def _refuse_stand_in(head: bytes) -> None:
    """What stands in a file's place where fetching it went wrong. Errors: ValueError."""
    if head.startswith(b"version https://git-lfs"):
        raise ValueError("is a Git LFS pointer, not the file itself: git lfs pull")
    if head.lstrip()[:1] == b"<":
        raise ValueError("is a web page: the download failed")
