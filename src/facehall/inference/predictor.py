"""The paper's Predictor (sec. 4.1): weights and pictures in, larger pictures out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import (
    Picture,
    read_picture,
    to_tensor,
    to_uint8,
    upscale_bicubic,
    write_picture,
)
from facehall.inference.plan import Job
from facehall.inference.tiling import super_resolve
from facehall.models.weights import load_generator


@dataclass(frozen=True)
class Outcome:
    """A picture that was written, or was there already and left alone."""

    source: Path
    target: Path
    written: bool


@dataclass(frozen=True)
class Failure:
    """A picture that could not be read or written, and why."""

    source: Path
    reason: str


class TileTooLargeError(FacehallError):
    """The device has too little memory for a tile."""


class Predictor:
    """Super-resolves pictures with the generator of a weights file.

    Args:
        weights: a .safetensors file that training wrote.
        device: ``auto`` (CUDA where there is one), or one of torch's device names.
        tile: side of the tiles, in pixels of the input, in which larger pictures are computed.

    Attributes:
        generator: the network, in eval mode on `device`.
        scale: its upscaling factor s.

    Raises:
        FacehallError: the weights file is not usable, or the device is not there.
    """

    def __init__(self, weights: str | Path, device: str = "auto", tile: int = 256) -> None:
        if not isinstance(tile, int) or tile < 1:
            raise FacehallError(f"tile={tile}: it is a number of pixels, at least 1.")
        self.generator = load_generator(Path(weights))
        self.device = _device(device)
        self.generator.to(self.device)
        self.scale = self.generator.scale
        self.tile = tile

    def upscale(self, picture: Picture | np.ndarray) -> Picture:
        """One picture `scale` times as large; a grey one stays grey and transparency is kept.

        Args:
            picture: a decoded file, or (H, W, 3) uint8.
        """
        if not isinstance(picture, Picture):
            picture = Picture(picture)
        rgb = self.super_resolve(to_tensor(picture.rgb)).cpu()
        if picture.grey:  # the network may tint what has no colour
            rgb = rgb.mean(dim=0, keepdim=True).expand(3, -1, -1)
        alpha = None if picture.alpha is None else self._enlarge_alpha(picture.alpha)
        return Picture(to_uint8(rgb), alpha, picture.grey)

    def run(self, jobs: Iterable[Job], overwrite: bool = False) -> Iterator[Outcome | Failure]:
        """Upscale pictures from file to file, each written whole or not at all; folders are made.

        Args:
            jobs: what `plan` gives.
            overwrite: replace files that are already there instead of leaving them alone.

        Yields:
            one outcome or failure per picture, as they are done; one bad file does not stop the rest.

        Raises:
            FacehallError: the device has too little memory for a tile.
        """
        for job in jobs:
            yield self._one(job, overwrite)

    def super_resolve(self, lr: Tensor) -> Tensor:
        """(3, h, w) in [0, 1] on any device -> (3, s h, s w) in [0, 1] on the predictor's device.

        Raises:
            TileTooLargeError: the device has too little memory for a tile.
        """
        try:
            return super_resolve(self.generator, lr.to(self.device), self.tile)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            raise TileTooLargeError(
                f"{self.device} has too little memory for tiles of {self.tile} pixels at x{self.scale}. Give smaller "
                f"ones, tile={max(1, self.tile // 2)}."
            ) from error

    def _one(self, job: Job, overwrite: bool) -> Outcome | Failure:
        try:
            if job.target.exists() and not overwrite:
                return Outcome(job.source, job.target, written=False)
            write_picture(job.target, self.upscale(read_picture(job.source)))
        except TileTooLargeError:  # the next picture would fare no better
            raise
        except FacehallError as error:
            return Failure(job.source, str(error))
        except OSError as error:
            return Failure(job.source, f"{job.target}: {error.strerror or error}.")
        return Outcome(job.source, job.target, written=True)

    def _enlarge_alpha(self, alpha: np.ndarray) -> np.ndarray:
        levels = torch.from_numpy(alpha.copy())[None].float() / 255
        return to_uint8(upscale_bicubic(levels, self.scale))[..., 0]


def _out_of_memory(error: RuntimeError) -> bool:
    # torch has an exception for CUDA alone; its CPU allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise FacehallError(f"device={name} cannot be used here: {reason}. Give auto, cpu or cuda.") from None
    return device
