"""Makes the latents of an avatar that ``avatar.prepare`` has made for MuseTalk: ``python -m avatar.latents``.

A process of its own too, as that one is, but without a limit on address space, of which PyTorch and CUDA reserve more
than any machine has: it reads pictures that we have written ourselves, and nothing a user has sent.
"""

import logging
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from avatar.give_way import give_way
from avatar.messages import MuseTalkConfig
from avatar.prepare import FACES, Failed, Line, Made, Step, say
from avatar.prepared import AvatarInvalid, load_prepared, read_manifest

log = logging.getLogger(__name__)

MOST_S: Final = 2000.0
"""Longest it may take: a GPU makes 250 in seconds, a CPU some ten a minute."""


class LatentsOrder(msgspec.Struct, frozen=True):
    """What is to be made."""

    directory: str
    """As ``avatar.prepare`` has left it."""
    models: MuseTalkConfig
    made: Made
    """What that has said of it; said again when all is well."""


def make(order: LatentsOrder) -> Made:
    """Put the latents in place of the zeros. Errors: NoModels, AvatarInvalid, OSError."""
    import torch

    from avatar.engines.musetalk.make_latents import latents_in_batches, latents_maker
    from avatar.engines.musetalk.musetalk_engine import EngineOptions

    torch.set_num_threads(1)
    directory = Path(order.directory)
    say(Step("loading the networks", 0.0))
    maker = latents_maker(order.models.models, EngineOptions(order.models.device, order.models.precision))
    faces = np.load(directory / FACES, mmap_mode="r", allow_pickle=False)
    latents = latents_in_batches(faces, maker, lambda done: say(Step("making the latents", 0.05 + 0.9 * done)))
    np.save(directory / "latents.npy", latents)
    del faces
    (directory / FACES).unlink()
    size = read_manifest(directory).sizes[-1]
    load_prepared(directory, (size.width, size.height))
    return order.made


def main() -> int:
    """The process. Exit status 0 where it said what came of it."""
    give_way()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=LatentsOrder)
    try:
        say(_outcome(order))
    except BrokenPipeError:  # nobody wants it any more; whoever did deletes the directory
        return 1
    return 0


def _outcome(order: LatentsOrder) -> Line:
    """Errors: BrokenPipeError."""
    from avatar.engines.musetalk.make_latents import NoModels

    try:
        return make(order)
    except (NoModels, AvatarInvalid) as error:
        return Failed(str(error))
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError) as error:  # PyTorch's, as for memory of the GPU that the streams on air have
        log.error("%s", error)
        return Failed(str(error).splitlines()[0][:300] if str(error) else type(error).__name__)


if __name__ == "__main__":
    sys.exit(main())
