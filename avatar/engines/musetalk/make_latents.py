"""The latents of an avatar's faces, made by MuseTalk's own VAE: once, when it is prepared."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.model_files import find_faults

if TYPE_CHECKING:
    from avatar.engines.musetalk.musetalk_engine import EngineOptions

MakeLatents = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""Shapes: faces (B, 256, 256, 3) RGB -> (B, 8, 32, 32)."""
_AT_ONCE: Final = 8
_LIBRARIES: Final = ("diffusers", "transformers")


class NoModels(Exception):
    """There is nothing to make latents with: which file or library, and what to do."""


def check_models(folder: str) -> None:
    """Look at the files, in milliseconds and without torch. Errors: NoModels, as ``doctor`` says it."""
    if not folder:
        raise NoModels("latents are made by the VAE: WHEP_AVATAR_MUSETALK_MODELS must name the folder of models")
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        raise NoModels(f"{' and '.join(missing)} cannot be imported: pip install 'whep-avatar[musetalk]'")
    if faults := find_faults(Path(folder)):
        raise NoModels("; ".join(f"{fault}: {fault.fix}" for fault in faults))


def latents_maker(folder: str, options: "EngineOptions") -> MakeLatents:
    """The VAE of the models' ``folder``. Errors: NoModels."""
    check_models(folder)
    from avatar.engines.musetalk.generator import Generator, Speedup
    from avatar.engines.musetalk.networks import ModelsInvalid, load_networks

    try:
        device = options.place()
        kind = options.kind(device)
        networks = load_networks(Path(folder)).moved(device, kind)
    except (ModelsInvalid, ValueError) as error:
        raise NoModels(str(error)) from error
    return Generator(networks, device, kind, Speedup.NONE).latents_of


def latents_in_batches(
    faces: Sequence[NDArray[np.uint8]], make: MakeLatents, progress: Callable[[float], None]
) -> NDArray[np.float16]:
    """Those of all faces; the same faces give the same ones. Shapes: (256, 256, 3) each, RGB -> (N, 8, 32, 32)."""
    made: list[NDArray[np.float16]] = []
    for at in range(0, len(faces), _AT_ONCE):
        progress(at / len(faces))
        made.append(make(np.stack([faces[number] for number in range(at, min(at + _AT_ONCE, len(faces)))])))
    return np.concatenate(made)
