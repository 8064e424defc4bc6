"""Tiny networks of MuseTalk's kind with random weights, saved in the official layout as their libraries save them."""

import json
from pathlib import Path

import torch

from avatar.engines.musetalk.networks import TINY, MadeUp, Sizes


def write_models(folder: Path, sizes: Sizes = TINY, *, safetensors: bool = False) -> Path:
    """All files of a models folder; ``folder``."""
    unet, vae, whisper, extractor = MadeUp(sizes).parts()
    (folder / "musetalkV15").mkdir(parents=True)
    (folder / "musetalkV15" / "musetalk.json").write_text(json.dumps(sizes.unet_config()))
    torch.save(unet.state_dict(), folder / "musetalkV15" / "unet.pth")
    vae.save_pretrained(folder / "sd-vae", safe_serialization=safetensors)
    whisper.save_pretrained(folder / "whisper")
    extractor.save_pretrained(folder / "whisper")
    if not safetensors:
        (folder / "whisper" / "model.safetensors").unlink()
        state = {f"model.{name}": tensor for name, tensor in whisper.state_dict().items()}
        torch.save(state, folder / "whisper" / "pytorch_model.bin")  # as openai/whisper-tiny has it, of the whole model
    return folder
