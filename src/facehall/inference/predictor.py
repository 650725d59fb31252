"""The paper's Predictor (sec. 4.1): weights and pictures in, larger pictures out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import Picture, as_picture, read_picture, to_levels, to_tensor, upscale_bicubic, write_picture
from facehall.imaging.exif import sized_exif
from facehall.imaging.png import write_png
from facehall.inference.backends import choose
from facehall.inference.ensemble import self_ensemble
from facehall.inference.fidelity import load_mixed
from facehall.inference.plan import Job, plan
from facehall.inference.tiling.tiler import Tiler, TileTooLargeError
from facehall.models.pretrained import default_weights, weights_file
from facehall.models.weights import load_generator
from facehall.systems.rgb import as_rgb

STREAMED = 2**24
"""Pixels of a result from which on it is not held in memory, but written as it is computed."""
CONTEXT = 4
"""Rows beside those whose transparency is enlarged: bicubic reaches two."""


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


class Predictor:
    """Super-resolves pictures with the generator of a weights file.

    Args:
        weights: a name listed by `facehall.models.pretrained.bundled_names`, a .safetensors file from a training, or
            a public ESRGAN or Real-ESRGAN x4 checkpoint (.pth); None takes the package's x4.
        device: ``auto`` (CUDA where there is one), or one of torch's device names.
        backend: what computes the network: ``auto``, ``eager`` or another of `facehall.inference.backends`.
        tile: side of the tiles, in pixels of the input and without their context, in which larger pictures are
            computed; ``auto`` goes by the free memory. Where memory runs out nevertheless it is halved.
        ensemble: average over the eight symmetries, for eight times the work.
        fidelity: mix the weights before and after the GAN phase, see `load_mixed`; None takes the file as it is.

    Attributes:
        generator: the network, in eval mode on `device`.
        rgb_generator: the same, or around a network that takes enlarged pictures or luma one that enlarges RGB.
        scale: its upscaling factor s.
        device: where it is computed.
        tile: as given.
        backend: which one was chosen, and why.

    Raises:
        FacehallError: a weights file is not usable, the device is not there, or a setting cannot be.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "auto",
        backend: str = "auto",
        tile: int | str = "auto",
        ensemble: bool = False,
        fidelity: float | None = None,
    ) -> None:
        file = weights_file(default_weights() if weights is None else weights)
        self.generator = load_generator(file) if fidelity is None else load_mixed(file, fidelity)
        self.device = choose_device(device)
        self.generator.to(self.device)
        self.rgb_generator = as_rgb(self.generator)
        self.scale = self.generator.scale
        self.tile = tile
        self._wanted, self._ensemble = backend, ensemble
        self._tiler = Tiler(self.rgb_generator, self.rgb_generator, self.device, tile)
        self.prepare()

    def prepare(self, pixels: int = 0) -> None:
        """Choose the backend again, for a job of so many pixels of the input: with `auto` a long one is measured for.

        Raises:
            FacehallError: the backend does not run here.
        """
        network, self.backend = choose(self.rgb_generator, self.device, self._wanted, pixels)
        self._tiler.network = self_ensemble(network) if self._ensemble else network

    def upscale(self, picture: Picture | np.ndarray | Image.Image | str | Path) -> Picture:
        """One picture `scale` times as large; grey stays grey, transparency, depth, EXIF and profile are kept.

        Args:
            picture: a file, a decoded file, a Pillow image, or an array (H, W, 3) uint8 or uint16; (H, W) is grey, a
                fourth channel transparency.

        Raises:
            FacehallError: the file cannot be read, or the device has too little memory.
        """
        return self._assemble(as_picture(picture), np.empty)

    def run(
        self,
        jobs: Iterable[Job] | str | Path,
        output: str | Path | None = None,
        overwrite: bool = False,
        advance: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Iterator[Outcome | Failure]:
        """Upscale pictures from file to file, each written whole or not at all; folders are made.

        A large result never exists whole in memory: a PNG file is written as it is computed, for other kinds it is
        collected in a temporary file beside the target.

        Args:
            jobs: what `plan` gives, or a file or folder, which is planned for the folder `output`.
            overwrite: replace files that are already there instead of leaving them alone.
            advance: told the pixels of the input that are done, after each tile.
            options: further arguments of `write_picture`.

        Yields:
            one outcome or failure per picture, as they are done; one bad file does not stop the rest.

        Raises:
            FacehallError: there is nothing to do, or the device has too little memory for a tile.
        """
        if isinstance(jobs, (str, Path)):
            if output is None:
                raise TypeError("run(input, output) needs the folder that the results go to")
            jobs = plan(jobs, output)
        return (self._one(job, overwrite, advance, options) for job in jobs)

    def super_resolve(self, lr: Tensor) -> Tensor:
        """(3, h, w) in [0, 1] on any device -> (3, s h, s w) in [0, 1] on the predictor's device.

        Raises:
            TileTooLargeError: the device has too little memory for a tile.
        """
        height, width = lr.shape[-2:]
        sr = torch.empty(3, height * self.scale, width * self.scale, device=self.device)
        for tile in self._tiler.tiles(height, width, lambda rows, columns: lr[None, :, rows, columns].float()):
            sr[:, self._large(tile.top, tile.bottom), self._large(tile.left, tile.right)] = tile.sr
        return sr

    def compute(self, lr: Tensor) -> Tensor:
        """(1, 3, h, w) on the predictor's device -> (1, 3, s h, s w), not clamped: one pass of the chosen backend."""
        with torch.inference_mode():
            return self._tiler.network(lr)

    def strips(self, picture: Picture, advance: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        """The enlarged picture from the top, in strips of rows, of which one at a time is in memory.

        Yields:
            (rows, s W, C) of the picture's depth; C is 1 for grey, else 3, and one more with transparency.
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
            # The network may tint what has no colour.
            sr = tile.sr.mean(dim=0, keepdim=True) if picture.grey else tile.sr
            strip[:, self._large(tile.left, tile.right), :colours] = to_levels(sr, strip.dtype)
            if advance is not None:
                advance((tile.bottom - tile.top) * (tile.right - tile.left))
            if tile.right == width:
                if picture.alpha is not None:
                    strip[..., -1] = self._enlarge_alpha(picture.alpha, tile.top, tile.bottom)
                yield strip

    @property
    def overlap(self) -> int:
        """The context in LR pixels with which a part of a picture comes out as in the whole."""
        return self._tiler.overlap

    def _one(
        self, job: Job, overwrite: bool, advance: Callable[[int], None] | None, options: dict[str, Any]
    ) -> Outcome | Failure:
        try:
            if job.target.exists() and not overwrite:
                return Outcome(job.source, job.target, written=False)
            self._convert(read_picture(job.source), job.target, advance, options)
        except TileTooLargeError:  # the next picture would fare no better
            raise
        except FacehallError as error:
            return Failure(job.source, str(error))
        except OSError as error:
            return Failure(job.source, f"{job.target}: {error.strerror or error}.")
        return Outcome(job.source, job.target, written=True)

    def _convert(
        self, picture: Picture, target: Path, advance: Callable[[int], None] | None, options: dict[str, Any]
    ) -> None:
        height, width = (side * self.scale for side in picture.rgb.shape[:2])
        if height * width <= STREAMED:
            write_picture(target, self._assemble(picture, np.empty, advance), **options)
        elif target.suffix.lower() == ".png":
            exif = sized_exif(picture.exif, width, height) if picture.exif else None
            compression = options.get("compression", 6)
            strips = self.strips(picture, advance)
            write_png(target, (width, height), strips, picture.icc, exif, picture.dpi, compression)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
                names = iter(("rgb", "alpha"))

                def mapped(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
                    return np.memmap(Path(folder, next(names)), dtype, "w+", shape=shape)

                write_picture(target, self._assemble(picture, mapped, advance), **options)

    def _assemble(
        self,
        picture: Picture,
        allocate: Callable[[tuple[int, ...], np.dtype], np.ndarray],
        advance: Callable[[int], None] | None = None,
    ) -> Picture:
        size = tuple(side * self.scale for side in picture.rgb.shape[:2])
        rgb = allocate((*size, 3), picture.rgb.dtype)
        alpha = None if picture.alpha is None else allocate(size, picture.rgb.dtype)
        top = 0
        for strip in self.strips(picture, advance):
            rows = slice(top, top + len(strip))
            rgb[rows] = strip[..., : 1 if picture.grey else 3]
            if alpha is not None:
                alpha[rows] = strip[..., -1]
            top = rows.stop
        return replace(picture, rgb=rgb, alpha=alpha)

    def _enlarge_alpha(self, alpha: np.ndarray, top: int, bottom: int) -> np.ndarray:
        first = max(0, top - CONTEXT)
        levels = to_tensor(alpha[first : bottom + CONTEXT, :, None])
        enlarged = upscale_bicubic(levels, self.scale)[:, self._large(top - first, bottom - first)]
        return to_levels(enlarged, alpha.dtype)[..., 0]

    def _large(self, start: int, stop: int) -> slice:
        return slice(start * self.scale, stop * self.scale)


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one.

    Raises:
        FacehallError: it cannot be used here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise FacehallError(f"device={name} cannot be used here: {reason}. Give auto, cpu or cuda.") from None
    return device
