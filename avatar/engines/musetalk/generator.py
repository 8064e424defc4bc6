"""Faces that speak, made by UNet and VAE in batches of few fixed sizes, and brought home as pixels of the mouth's half.

On a GPU a batch is filled up to one of ``BUCKETS``, for which everything is chosen, compiled or captured at the start:
no stream waits for that later. The pixels are made bytes there, and only the rows that an avatar's mask shows are
copied. A CPU, which can do this only slowly, gets no row more than there is.
"""

import logging
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar.engines.musetalk.networks import FACE, LATENTS, Networks

log = logging.getLogger(__name__)

BUCKETS: Final = (1, 4, 8, 16, 32)
_WARM_RUNS: Final = 3

Faces = Callable[[Tensor, Tensor], Tensor]


class Speedup(StrEnum):
    """What is done on a GPU so that its many small steps do not wait for the CPU. Nothing of it on a CPU."""

    NONE = "none"
    GRAPHS = "graphs"
    """Each bucket is captured once and replayed as one CUDA graph."""
    COMPILE = "compile"
    """torch.compile with its own CUDA graphs; takes minutes at the start."""


class Generator:
    """UNet and VAE decoder. One thread calls it, the same that has called ``warm_up``."""

    def __init__(
        self, networks: Networks, device: torch.device, dtype: torch.dtype, speedup: Speedup, most: int = BUCKETS[-1]
    ) -> None:
        """Batches have ``most`` rows at most."""
        self._networks, self._device, self._dtype = networks, device, dtype
        self._speedup = speedup if device.type == "cuda" else Speedup.NONE
        self.buckets = (*(bucket for bucket in BUCKETS if bucket < most), most)
        self._timestep = torch.zeros((), dtype=torch.int64, device=device)
        self._ways: dict[int, Faces] = {}
        """How each bucket is made, where not step by step."""
        self._whole: Faces = self._faces
        if self._speedup is Speedup.COMPILE:
            self._whole = torch.compile(self._faces, mode="reduce-overhead", dynamic=False)

    @torch.inference_mode()
    def warm_up(self, tokens: int) -> None:
        """Have all buckets ready, the largest first so that memory is laid out for it. ``tokens`` are heard a frame."""
        if self._device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        for bucket in reversed(self.buckets if self._device.type == "cuda" else self.buckets[:1]):
            latents = torch.zeros(bucket, 8, LATENTS, LATENTS, dtype=self._dtype, device=self._device)
            heard = torch.zeros(bucket, tokens, self._networks.width, dtype=self._dtype, device=self._device)
            for _ in range(_WARM_RUNS if self._device.type == "cuda" else 1):
                self._whole(latents, heard)
            if self._speedup is Speedup.GRAPHS:
                self._capture(bucket, latents, heard)

    @torch.inference_mode()
    def speed(self, tokens: int) -> float:
        """Faces a second, of the largest batch that is warm. Units: 1/s."""
        rows = self.buckets[-1] if self._device.type == "cuda" else self.buckets[0]
        latents = torch.zeros(rows, 8, LATENTS, LATENTS, dtype=self._dtype, device=self._device)
        heard = torch.zeros(rows, tokens, self._networks.width, dtype=self._dtype, device=self._device)
        began_s = time.perf_counter()
        self.generate(latents, heard, FACE // 2)  # returns when its pixels are in the CPU's memory
        return rows / (time.perf_counter() - began_s)

    def _capture(self, bucket: int, latents: Tensor, heard: Tensor) -> None:
        """Record a bucket's steps; where the driver will not, they are taken one by one as before."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                made = self._faces(latents, heard)
        except RuntimeError as error:
            log.warning("batches of %d are not captured as a CUDA graph: %s", bucket, error)
            return

        def replay(new_latents: Tensor, new_heard: Tensor) -> Tensor:
            latents.copy_(new_latents)
            heard.copy_(new_heard)
            graph.replay()
            return made

        self._ways[bucket] = replay

    @torch.inference_mode()
    def generate(self, latents: Tensor, heard: Tensor, top: int) -> NDArray[np.uint8]:
        """Faces from row ``top`` down. Shapes: (B, 8, 32, 32), (B, tokens, D) -> (B, 256 - top, 256, 3) RGB.

        Errors: ValueError for more rows than the largest bucket has.
        """
        rows = len(latents)
        bucket = bucket_for(rows, self.buckets)
        if self._device.type == "cuda" and (spare := bucket - rows):
            latents = torch.cat([latents, latents[-1:].expand(spare, *latents.shape[1:])])
            heard = torch.cat([heard, heard[-1:].expand(spare, *heard.shape[1:])])
        make = self._ways.get(bucket, self._whole)
        return self._home(make(latents.to(self._dtype), heard)[:rows, top:])

    def _faces(self, latents: Tensor, heard: Tensor) -> Tensor:
        """Shapes: (B, 8, 32, 32), (B, tokens, D) -> (B, 256, 256, 3) uint8."""
        latents = latents.contiguous(memory_format=torch.channels_last)
        spoken = self._networks.unet(latents, self._timestep, encoder_hidden_states=heard, return_dict=False)[0]
        pixels: Tensor = self._networks.vae.decode(spoken / self._networks.scaling, return_dict=False)[0]
        shown = (pixels / 2 + 0.5).clamp(0, 1) * 255
        return shown.round().to(torch.uint8).permute(0, 2, 3, 1)

    def _home(self, faces: Tensor) -> NDArray[np.uint8]:
        """To the CPU's memory, and there."""
        faces = faces.contiguous()
        if self._device.type == "cpu":
            return np.asarray(faces.numpy())
        home = torch.empty(faces.shape, dtype=torch.uint8, pin_memory=True)
        home.copy_(faces, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return np.asarray(home.numpy())

    @torch.inference_mode()
    def latents_of(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        """What is kept of pictures of a face: with the mouth's half dark, and whole; the likeliest, never a sample.

        Sampled latents differ from picture to picture of one and the same face, and that flickers.
        Shapes: (B, 256, 256, 3) RGB -> (B, 8, 32, 32), scaled for the UNet.
        """
        whole = torch.from_numpy(faces).to(self._device, self._dtype).permute(0, 3, 1, 2) / 127.5 - 1
        dark = whole.clone()
        dark[:, :, FACE // 2 :] = -1
        both = [self._networks.vae.encode(each).latent_dist.mode() for each in (dark, whole)]
        return np.asarray((torch.cat(both, 1) * self._networks.scaling).half().cpu().numpy())


def bucket_for(rows: int, buckets: Sequence[int]) -> int:
    """The smallest that holds so many rows. Errors: ValueError where none does."""
    found = next((bucket for bucket in buckets if bucket >= rows), None)
    if found is None:
        raise ValueError(f"{rows} rows; {buckets[-1]} at most")
    return found
