"""The paper's Predictor (sec. 4.1): upscale pictures with the weights of a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import Picture, as_picture, read_picture, to_levels, to_tensor, upscale_bicubic
from facehall.inference.backends import BATCHED, choose
from facehall.inference.ensemble import self_ensemble
from facehall.inference.fidelity import load_interpolated
from facehall.inference.methods import METHODS
from facehall.inference.plan import Job, plan
from facehall.inference.streaming import assemble, write_strips
from facehall.inference.tiling.tiler import Tiler, TileTooLargeError
from facehall.inference.tiling.whole import WholePicture
from facehall.models.generators import Generator
from facehall.models.pretrained import default_weights, weights_file
from facehall.models.published import load_published, split_published
from facehall.models.weights import load_generator
from facehall.systems.rgb import as_rgb

ALPHA_CONTEXT = 4
"""Extra rows on both sides when upscaling alpha; bicubic needs two."""


@dataclass(frozen=True)
class Outcome:
    """A picture that was written, or skipped because its output exists."""

    source: Path
    target: Path
    written: bool


@dataclass(frozen=True)
class Failure:
    """A picture that could not be read or written, and the reason."""

    source: Path
    reason: str


class Predictor:
    """Super-resolves pictures with the generator of a weights file.

    Args:
        weights: a name from `facehall.models.pretrained.bundled_names`, a .safetensors file from training, a public
            ESRGAN or Real-ESRGAN x4 checkpoint (.pth), READER:FILE, a file published by a system's authors
            (`facehall.models.published`), or a name from `facehall.inference.methods.METHODS`; None uses the package's
            weights.
        device: ``auto`` (CUDA if available) or a torch device name.
        backend: ``auto``, ``eager`` or another of `facehall.inference.backends`.
        tile: side of the tiles for larger pictures, in input pixels without context; ``auto`` depends on the free
            memory. Halved if memory runs out.
        ensemble: average over the eight symmetries, at eight times the cost.
        fidelity: interpolate the weights of the GAN and PSNR phases, see `load_interpolated`; None uses the file as is.
        scale: required scale; None uses that of the weights, and 4 or their reader's default for those of several.
        automatic_tile: side of automatic tiles; None: by the free memory.

    Attributes:
        generator: the network, in eval mode on `device`.
        rgb_generator: `generator`, wrapped to take RGB if it expects luma or bicubically upscaled input.
        scale: its upscaling factor s.
        device: the device in use.
        tile: as given.
        backend: the selected backend and the reason.

    Raises:
        FacehallError: if a weights file or setting is invalid, or the device is not available.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "auto",
        backend: str = "auto",
        tile: int | str = "auto",
        ensemble: bool = False,
        fidelity: float | None = None,
        scale: int | None = None,
        automatic_tile: int | None = None,
    ) -> None:
        self.generator = _open(weights, fidelity, scale)
        self.device = choose_device(device)
        self.generator.to(self.device)
        self.rgb_generator = as_rgb(self.generator)
        self.scale = self.generator.scale
        self.tile = tile
        self._backend_name, self._ensemble = backend, ensemble
        self._tiler: Tiler | WholePicture
        if self.generator.whole_picture:
            self._tiler = WholePicture(self.rgb_generator, self.device, tile)
        else:
            side = automatic_tile or tile if tile == "auto" else tile
            self._tiler = Tiler(self.rgb_generator, self.rgb_generator, self.device, side)
        self.prepare()

    def prepare(self, pixels: int = 0) -> None:
        """Select the backend for a job of this many input pixels; ``auto`` runs a benchmark before long jobs.

        Raises:
            FacehallError: if the backend is not available.
        """
        network, self.backend = choose(self.rgb_generator, self.device, self._backend_name, pixels)
        self._tiler.network = self_ensemble(network) if self._ensemble else network

    def upscale(
        self,
        picture: Picture | np.ndarray | Image.Image | str | Path,
        advance: Callable[[int], None] | None = None,
    ) -> Picture:
        """Upscale a picture; preserve greyscale, alpha, bit depth, EXIF data and colour profile.

        Args:
            picture: a path, a Picture, a Pillow image, or an array (H, W, 3) uint8 or uint16; (H, W) is grey, a fourth
                channel is alpha.
            advance: called with the number of input pixels done after each tile; what it raises ends the computation.

        Raises:
            FacehallError: if the file cannot be read, or the device runs out of memory.
        """
        found = as_picture(picture)
        return assemble(found, self.scale, self.strips(found, advance))

    def run(
        self,
        jobs: Iterable[Job] | str | Path,
        output: str | Path | None = None,
        overwrite: bool = False,
        advance: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Iterator[Outcome | Failure]:
        """Upscale files to files, written atomically; missing folders are created.

        Large results are not held in memory: PNG files are written while they are computed, other formats are collected
        in a temporary file beside the target.

        Args:
            jobs: the result of `plan`, or a file or folder, for which `output` is the output folder.
            output: see `jobs`.
            overwrite: replace existing files instead of skipping them.
            advance: called with the number of input pixels done after each tile.
            options: further arguments of `write_picture`.

        Yields:
            An outcome or failure for each picture when it is done; failures do not stop the batch.

        Raises:
            FacehallError: if there are no inputs, or the device has too little memory for a tile.
        """
        if isinstance(jobs, (str, Path)):
            if output is None:
                raise TypeError("run(input, output) requires the output folder")
            jobs = plan(jobs, output)
        return (self._process(job, overwrite, advance, options) for job in jobs)

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Upscale (3, h, w) in [0, 1] on any device to (3, s h, s w) in [0, 1] on the predictor's device.

        Raises:
            TileTooLargeError: if the device has too little memory for a tile.
        """
        height, width = lr.shape[-2:]
        sr = torch.empty(3, height * self.scale, width * self.scale, device=self.device)
        for tile in self._tiler.tiles(height, width, lambda rows, columns: lr[None, :, rows, columns].float()):
            sr[:, self._scaled(tile.top, tile.bottom), self._scaled(tile.left, tile.right)] = tile.sr
        return sr

    def super_resolve_batch(self, lr: Tensor) -> Tensor:
        """Upscale (B, 3, h, w) in [0, 1] to (B, 3, s h, s w) in [0, 1]; one by one where the backend takes one image.

        Raises:
            TileTooLargeError: if the device has too little memory for a tile.
        """
        if len(lr) > 1 and self.backend.partition(" ")[0] in BATCHED and not self.generator.whole_picture:
            return self.compute(lr.to(self.device)).clamp(0, 1)
        return torch.stack([self.super_resolve(each) for each in lr])

    def compute(self, lr: Tensor) -> Tensor:
        """Run the backend without tiling: (1, 3, h, w) on the predictor's device -> (1, 3, s h, s w), not clamped."""
        with torch.inference_mode():
            return self._tiler.network(lr)

    def strips(self, picture: Picture, advance: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        """Upscale a picture strip by strip from the top, with one strip in memory at a time.

        Yields:
            (rows, s W, C) with the picture's dtype; C is 1 for grey, else 3, plus one for alpha.
        """
        height, width = picture.rgb.shape[:2]
        colours = 1 if picture.grey else 3
        strip = np.empty(0)
        for tile in self._tiler.tiles(height, width, lambda rows, columns: to_tensor(picture.rgb[rows, columns])[None]):
            if tile.left == 0:
                shape = (
                    (tile.bottom - tile.top) * self.scale,
                    width * self.scale,
                    colours + (picture.alpha is not None),
                )
                strip = np.empty(shape, picture.rgb.dtype)
            # Average the channels, because the network may tint grey input.
            sr = tile.sr.mean(dim=0, keepdim=True) if picture.grey else tile.sr
            strip[:, self._scaled(tile.left, tile.right), :colours] = to_levels(sr, strip.dtype)
            if advance is not None:
                advance((tile.bottom - tile.top) * (tile.right - tile.left))
            if tile.right == width:
                if picture.alpha is not None:
                    strip[..., -1] = self._enlarge_alpha(picture.alpha, tile.top, tile.bottom)
                yield strip

    @property
    def overlap(self) -> int:
        """Context in LR pixels that a crop needs to be upscaled as within the whole picture."""
        return self._tiler.overlap

    def _process(
        self, job: Job, overwrite: bool, advance: Callable[[int], None] | None, options: dict[str, Any]
    ) -> Outcome | Failure:
        try:
            if job.target.exists() and not overwrite:
                return Outcome(job.source, job.target, written=False)
            self._upscale_file(read_picture(job.source), job.target, advance, options)
        except TileTooLargeError:  # further pictures would fail as well
            raise
        except FacehallError as error:
            return Failure(job.source, str(error))
        except OSError as error:
            return Failure(job.source, f"{job.target}: {error.strerror or error}.")
        return Outcome(job.source, job.target, written=True)

    def _upscale_file(
        self, picture: Picture, target: Path, advance: Callable[[int], None] | None, options: dict[str, Any]
    ) -> None:
        write_strips(target, picture, self.scale, self.strips(picture, advance), options)

    def _enlarge_alpha(self, alpha: np.ndarray, top: int, bottom: int) -> np.ndarray:
        first = max(0, top - ALPHA_CONTEXT)
        levels = to_tensor(alpha[first : bottom + ALPHA_CONTEXT, :, None])
        enlarged = upscale_bicubic(levels, self.scale)[:, self._scaled(top - first, bottom - first)]
        return to_levels(enlarged, alpha.dtype)[..., 0]

    def _scaled(self, start: int, stop: int) -> slice:
        return slice(start * self.scale, stop * self.scale)


def _open(weights: str | Path | None, fidelity: float | None, scale: int | None) -> Generator:
    method, published = METHODS.get(str(weights)), None if weights is None else split_published(weights)
    if fidelity is not None and (method or published):
        raise FacehallError(f"{weights}: fidelity mixes the two weights of a run, which these are not. Unset fidelity.")
    if method:
        return method(4 if scale is None else scale)
    if published:
        return load_published(*published, scale)
    file = weights_file(default_weights(4 if scale is None else scale) if weights is None else weights)
    generator = load_generator(file) if fidelity is None else load_interpolated(file, fidelity)
    if scale not in (None, generator.scale):
        raise FacehallError(f"scale={scale}, but {weights} is a x{generator.scale} network. Do not set scale.")
    return generator


def choose_device(name: str) -> torch.device:
    """Return the torch device called `name`; ``auto`` is CUDA if available, else the CPU.

    Raises:
        FacehallError: if the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise FacehallError(f"device={name} is not available: {reason}. Use auto, cpu or cuda.") from None
    return device
