"""The paper's Predictor (sec. 4.1): weights and pictures in, larger pictures out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import Picture, list_images, read_picture, to_tensor, to_uint8, upscale_bicubic, write_picture
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


class Predictor:
    """Super-resolves pictures with the generator of a weights file.

    Args:
        weights: a .safetensors file that training wrote.
        device: ``auto`` (CUDA where there is one), or one of torch's device names.
        tile: side of the tiles, in pixels of the input, in which larger pictures are computed.

    Raises:
        FacehallError: the weights file is not usable, or the device is not there.
    """

    def __init__(self, weights: str | Path, device: str = "auto", tile: int = 256) -> None:
        if tile < 1:
            raise FacehallError(f"tile is a number of pixels, at least 1, not {tile}.")
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
        rgb = self._run(to_tensor(picture.rgb))
        if picture.grey:  # the network may tint what has no colour
            rgb = rgb.mean(dim=0, keepdim=True).expand(3, -1, -1)
        alpha = None if picture.alpha is None else self._enlarge_alpha(picture.alpha)
        return Picture(to_uint8(rgb), alpha, picture.grey)

    def run(self, source: str | Path, target: str | Path, overwrite: bool = False) -> Iterator[Outcome | Failure]:
        """Upscale a file, or every image below a folder, into a folder; names and sub-folders stay.

        Args:
            source: an image file or a folder.
            target: a folder; it is made.
            overwrite: replace files that are already there instead of leaving them alone.

        Yields:
            one outcome or failure per picture; one bad file does not stop the rest.

        Raises:
            FacehallError: there is nothing to read, or the target would overwrite the source.
        """
        source, target = Path(source), Path(target)
        files = [source] if source.is_file() else list_images(source)
        root = source.parent if source.is_file() else source
        if target.resolve() == root.resolve():
            raise FacehallError(
                f"output={target} is the folder of the pictures themselves, which keep their names: they would be "
                "overwritten. Give another folder."
            )
        return (self._one(file, target / file.relative_to(root), overwrite) for file in files)

    def _one(self, source: Path, target: Path, overwrite: bool) -> Outcome | Failure:
        if target.exists() and not overwrite:
            return Outcome(source, target, written=False)
        try:
            picture = self.upscale(read_picture(source))
            target.parent.mkdir(parents=True, exist_ok=True)
            write_picture(target, picture)
        except FacehallError as error:
            return Failure(source, str(error))
        except OSError as error:
            return Failure(source, f"{target}: {error.strerror or error}.")
        return Outcome(source, target, written=True)

    def _run(self, lr: Tensor) -> Tensor:
        return super_resolve(self.generator, lr.to(self.device), self.tile).cpu()

    def _enlarge_alpha(self, alpha: np.ndarray) -> np.ndarray:
        levels = torch.from_numpy(alpha.copy())[None].float() / 255
        return to_uint8(upscale_bicubic(levels, self.scale))[..., 0]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise FacehallError(f"device={name} cannot be used here: {reason} Give auto, cpu or cuda.") from None
    return device
