"""The three networks of MuseTalk 1.5: loaded from their files, or made up at random in any size.

Shapes: a face is 256x256 pixels, its latents (4, 32, 32). UNet: latents of the masked face and of the face,
(B, 8, 32, 32), and what is heard (B, 10 steps x states, D) -> latents of the face that speaks (B, 4, 32, 32), in one
pass at timestep 0. VAE decoder: these -> (B, 3, 256, 256) in [-1, 1]. Whisper encoder: log-mel (B, 80, 2 P) -> a state
a layer and one before them (B, P, D), P steps of 20 ms.
Source: Zhang et al., MuseTalk (arXiv 2410.10122); the classes are those of diffusers and transformers.
"""

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
from transformers.utils.logging import disable_progress_bar

from avatar.engines.musetalk.model_files import find_faults, find_models

FACE: Final = 256
"""Side of a face. Units: pixels."""
LATENTS: Final = 32
SAMPLE_RATE: Final = 16_000
HOP: Final = 160
"""Of the log-mel. Units: samples."""
FFT: Final = 400


class ModelsInvalid(Exception):
    """The models folder cannot be used. Says which file, and why."""


@dataclass(frozen=True, slots=True)
class Networks:
    """All three, in evaluation mode, in single precision, on the CPU until ``moved``."""

    unet: nn.Module
    vae: Any
    """diffusers' ``AutoencoderKL``: its ``encode`` and ``decode`` are no types of torch's."""
    hearing: nn.Module
    """Whisper's encoder."""
    mel_filters: torch.Tensor
    """Shapes: (201, 80)."""
    scaling: float
    """What the VAE's latents are multiplied with, to be the UNet's."""
    width: int
    """D, of what is heard."""
    states: int
    """How many states a step has."""
    positions: int
    """P, steps that are heard at once."""

    def moved(self, device: torch.device, dtype: torch.dtype) -> "Networks":
        """The same modules on a device, convolutions channels last."""
        for module in (self.unet, self.vae):  # past the libraries' own ``to``, which warns of what is so
            nn.Module.to(module, device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        nn.Module.to(self.hearing, device, dtype)
        return self


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large networks are that are made up; by default as the real ones."""

    unet: tuple[int, ...] = (320, 640, 1280, 1280)
    vae: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    groups: int = 32
    heads: int = 8
    width: int = 384
    hearing_layers: int = 4
    hearing_heads: int = 6
    hearing_inner: int = 1536
    positions: int = 1500
    gain: float = 1.0
    """How much more what is heard counts than chance alone would have it: else a random mouth hardly moves."""

    def unet_config(self) -> dict[str, object]:
        """As musetalk.json has it."""
        return {
            "in_channels": 8,
            "out_channels": 4,
            "block_out_channels": list(self.unet),
            "layers_per_block": self.layers,
            "attention_head_dim": self.heads,
            "cross_attention_dim": self.width,
            "norm_num_groups": self.groups,
            "sample_size": 64,
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        }

    def vae_config(self) -> dict[str, object]:
        """As sd-vae/config.json has it."""
        return {
            "block_out_channels": list(self.vae),
            "down_block_types": ["DownEncoderBlock2D"] * len(self.vae),
            "up_block_types": ["UpDecoderBlock2D"] * len(self.vae),
            "layers_per_block": self.layers,
            "latent_channels": 4,
            "norm_num_groups": self.groups,
            "sample_size": 256,
        }

    def whisper_config(self) -> WhisperConfig:
        """As whisper/config.json has it; the decoder, which nobody needs, is as small as can be."""
        return WhisperConfig(
            d_model=self.width,
            encoder_layers=self.hearing_layers,
            encoder_attention_heads=self.hearing_heads,
            encoder_ffn_dim=self.hearing_inner,
            decoder_layers=1,
            decoder_attention_heads=self.hearing_heads,
            decoder_ffn_dim=16,
            max_source_positions=self.positions,
            max_target_positions=8,
            num_mel_bins=80,
            vocab_size=16,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
            suppress_tokens=None,
            begin_suppress_tokens=None,
        )


TINY: Final = Sizes((8, 8, 16, 16), (8, 8, 8, 8), 1, 4, 4, 16, 4, 2, 32, 150, 10.0)
"""For tests, and to try a benchmark on a CPU. Hears three seconds at once."""


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Networks at random, as their libraries have them, so that they can also be saved as those do."""

    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 0

    def parts(self) -> tuple[UNet2DConditionModel, AutoencoderKL, WhisperModel, WhisperFeatureExtractor]:
        """UNet, VAE, Whisper, and what makes its input."""
        torch.manual_seed(self.seed)
        unet = UNet2DConditionModel.from_config(self.sizes.unet_config())
        for name, tensor in unet.named_parameters():
            if ".attn2.to_" in name:
                tensor.data *= self.sizes.gain
        vae = AutoencoderKL.from_config(self.sizes.vae_config())
        whisper = WhisperModel(self.sizes.whisper_config())
        return unet, vae, whisper, WhisperFeatureExtractor(chunk_length=self.sizes.positions // 50)


def random_networks(sizes: Sizes, device: torch.device | None = None) -> Networks:
    """Networks of any size without a file, made on ``device``."""
    with torch.device(device or "cpu"):
        return _networks(*MadeUp(sizes).parts())


def load_networks(folder: Path) -> Networks:
    """The networks of a models folder. Errors: ModelsInvalid."""
    if faults := find_faults(folder):
        raise ModelsInvalid("; ".join(map(str, faults)))
    files = find_models(folder)
    unet = _load_unet(files.unet_config, files.unet)
    vae = _load(AutoencoderKL, files.vae_weights, "")
    whisper = _load(WhisperModel, files.whisper_weights, "encoder.")
    try:
        extractor = WhisperFeatureExtractor.from_pretrained(files.whisper, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise ModelsInvalid(f"{files.whisper / 'preprocessor_config.json'}: {error}") from error
    return _networks(unet, vae, whisper, extractor)


def _load_unet(config: Path, weights: Path) -> nn.Module:
    """A bare state dictionary, mapped from disk: the file is as large as the network."""
    try:
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(json.loads(config.read_bytes()))
    except (TypeError, ValueError, KeyError) as error:
        raise ModelsInvalid(f"{config} describes no UNet: {error}") from error
    try:
        state = torch.load(weights, map_location="cpu", mmap=_mappable(weights), weights_only=True)
        unet.load_state_dict(state, strict=True, assign=True)
    except (OSError, RuntimeError, UnpicklingError, AttributeError, EOFError, TypeError) as error:
        raise ModelsInvalid(f"{weights} does not fit: {_first_lines(error)}") from error
    return cast(nn.Module, unet)


def _mappable(weights: Path) -> bool:
    with weights.open("rb") as file:
        return file.read(2) == b"PK"


def _load(kind: type[AutoencoderKL] | type[WhisperModel], weights: Path, needed: str) -> nn.Module:
    """As its library loads it, which knows old names of tensors; what is ``needed`` of it must be there."""
    options = {"local_files_only": True, "output_loading_info": True, "low_cpu_mem_usage": False}
    if kind is WhisperModel:  # which has no such option
        del options["low_cpu_mem_usage"]
    disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of those old names
        try:
            made, info = kind.from_pretrained(
                weights.parent, use_safetensors=weights.suffix == ".safetensors", **options
            )
        except (OSError, RuntimeError, UnpicklingError, ValueError, KeyError, TypeError) as error:
            raise ModelsInvalid(f"{weights} does not fit: {_first_lines(error)}") from error
    missing = sorted(name for name in info["missing_keys"] if name.startswith(needed))
    wrong = [str(each[0]) for each in info.get("mismatched_keys", []) if str(each[0]).startswith(needed)]
    if missing or wrong:
        what = f"{len(missing)} tensors are missing, {len(wrong)} of another shape"
        raise ModelsInvalid(f"{weights} does not fit: {what}, first {(missing + wrong)[0]}")
    return cast(nn.Module, made)


def _first_lines(error: Exception) -> str:
    """PyTorch lists every tensor."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__


def _networks(
    unet: nn.Module, vae: AutoencoderKL, whisper: WhisperModel, extractor: WhisperFeatureExtractor
) -> Networks:
    """Errors: ModelsInvalid where they do not belong together."""
    hearing, filters = whisper.encoder, torch.from_numpy(np.asarray(extractor.mel_filters, np.float32))
    if (extractor.sampling_rate, extractor.hop_length, extractor.n_fft) != (SAMPLE_RATE, HOP, FFT):
        raise ModelsInvalid("whisper/preprocessor_config.json is of sound that is cut in another way")
    if filters.shape[1] != hearing.config.num_mel_bins:
        raise ModelsInvalid(f"whisper hears {hearing.config.num_mel_bins} bands, and is given {filters.shape[1]}")
    for module in (unet, vae, hearing):
        module.requires_grad_(False).eval()
    return Networks(
        unet,
        vae,
        hearing,
        filters,
        float(vae.config.scaling_factor),
        int(hearing.config.d_model),
        int(hearing.config.encoder_layers) + 1,
        int(hearing.config.max_source_positions),
    )
