"""The scale-space pyramid of an image: sharp levels, and the same levels blurred by one step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from facehall.imaging import resize_bicubic

Size = tuple[int, int]

MIN_SIDE = 5
"""Side of a patch; coarser levels hold none."""
MAX_STEPS = 9
"""Levels between a target patch and its source at most."""


@dataclass(frozen=True)
class Ladder:
    """Steps between the levels of a pyramid.

    Attributes:
        scale: s, 2, 3, 4 or 8.
        step: alpha, the ratio of the sides of one level to those of the next finer one.
        up: levels between the input (exclusive) and the result (inclusive).
        down: levels below the input.
    """

    scale: int
    step: float
    up: int
    down: int

    @classmethod
    def to(cls, scale: int) -> Ladder:
        """Return the paper's ladder: three steps an octave down to 1/8, or, for x3, five steps a factor down to 1/9."""
        if scale in (2, 4, 8):
            return cls(scale, 2 ** (-1 / 3), up=3 * int(math.log2(scale)), down=9)
        if scale == 3:
            return cls(scale, 3 ** (-1 / 5), up=5, down=10)
        raise ValueError(f"scale must be 2, 3, 4 or 8, not {scale}")

    def size(self, given: Size, level: int) -> Size:
        """Return the size of a level; 0 is the input, of size `given`, and positive levels are finer."""
        ratio = self.scale if level == self.up else self.step**-level
        height, width = (max(1, math.floor(side * ratio + 0.5)) for side in given)
        return height, width


class Pyramid:
    """Sharp and blurred images at every level synthesised so far.

    Args:
        image: the input, (3, h, w).
        ladder: its levels.

    Attributes:
        sharp: H, level -> image (3, h', w').
        blurred: L, level -> the next coarser sharp image, resized to this level; the coarsest level has none.
    """

    def __init__(self, image: Tensor, ladder: Ladder) -> None:
        self.image = image
        self.ladder = ladder
        self.sharp: dict[int, Tensor] = {}
        self.blurred: dict[int, Tensor] = {}
        given = (image.shape[-2], image.shape[-1])
        for level in range(-ladder.down, 1):
            size = ladder.size(given, level)
            if min(size) >= MIN_SIDE or level >= -1:
                self.add(level, image if level == 0 else resize_bicubic(image, size))

    def add(self, level: int, sharp: Tensor) -> None:
        """Add a level above those present."""
        self.sharp[level] = sharp
        if level - 1 in self.sharp:
            size = (sharp.shape[-2], sharp.shape[-1])
            # A synthesised level is paired with its own reduction, not with the level that it was made from.
            coarser = self.sharp[level - 1] if level <= 0 else resize_bicubic(sharp, self._size(level - 1))
            self.blurred[level] = resize_bicubic(coarser, size)

    def enlarged(self, level: int) -> Tensor:
        """Return the level below, enlarged to this one: the image whose patches are to be replaced by sharp ones."""
        return resize_bicubic(self.sharp[level - 1], self._size(level))

    def sources(self, level: int) -> tuple[Atlas, Atlas]:
        """Return the levels below one, blurred and sharp; `MAX_STEPS` of them, if there are as many."""
        size = self._size(level)
        below = [k for k in range(level - 1, level - 1 - MAX_STEPS, -1) if k in self.blurred]
        blurred, sharp = ([levels[k] for k in below] for levels in (self.blurred, self.sharp))
        return Atlas(blurred, size, self.ladder.step), Atlas(sharp, size, self.ladder.step)

    def _size(self, level: int) -> Size:
        return self.ladder.size((self.image.shape[-2], self.image.shape[-1]), level)


class Atlas:
    """Levels of a pyramid in a single image, from which patches of any level are sampled in one call.

    The levels stand below one another, each with a border of zeros.

    Args:
        levels: the images (3, h_k, w_k) of the levels k = 1, 2, … steps below the target.
        size: the target level's (height, width), to whose pixels source positions refer.
        step: alpha.
    """

    def __init__(self, levels: list[Tensor], size: Size, step: float) -> None:
        heights = [level.shape[-2] for level in levels]
        widths = [level.shape[-1] for level in levels]
        total = (sum(heights) + len(levels) + 1, max(widths) + 2)
        first = levels[0]
        self.texture = first.new_zeros(1, 3, *total)
        tops = [1 + sum(heights[:k]) + k for k in range(len(levels))]
        for level, top in zip(levels, tops, strict=True):
            self.texture[0, :, top : top + level.shape[-2], 1 : 1 + level.shape[-1]] = level
        self.log_step = math.log(step)
        shape = first.new_tensor([[w, h] for w, h in zip(widths, heights, strict=True)])
        corner = first.new_tensor([[1.0, top] for top in tops])
        # grid_sample's coordinates: -1 and 1 are the centres of the first and last pixel.
        unit = 2 / first.new_tensor([total[1] - 1, total[0] - 1])
        self.ratio = shape / first.new_tensor([size[1], size[0]])
        self.factor = self.ratio * unit
        self.shift = (0.5 * self.ratio - 0.5 + corner) * unit - 1
        self.low = ((corner - 1) * unit - 1)[:, None]
        self.high = ((corner + shape) * unit - 1)[:, None]

    def patches(self, position: Tensor, affine: Tensor, offsets: Tensor) -> Tensor:
        """Sample patches bilinearly; zero outside their level.

        Args:
            position: (N, 2), x and y of the source's centre, in pixels of the target level.
            affine: (N, 4), row by row, the map A from offsets in the target to offsets in the source.
            offsets: (T, 2), x and y of a patch's pixels relative to its centre.

        Returns:
            (3, N, T). The level is the one at which the scale of A is nearest to 1.
        """
        k = (scale_of(affine).log() / -self.log_step).round().long().clamp(1, len(self.ratio)) - 1
        factor = self.factor[k]
        centre = torch.addcmul(self.shift[k], position, factor)
        x, y = factor.split(1, dim=1)
        terms = torch.cat((centre[:, :1], x * affine[:, :2], centre[:, 1:], y * affine[:, 2:]), dim=1)
        grid = (terms @ _basis(offsets)).view(len(k), len(offsets), 2)
        torch.maximum(grid, self.low[k], out=grid)
        torch.minimum(grid, self.high[k], out=grid)
        return self._sample(grid)

    def _sample(self, grid: Tensor) -> Tensor:
        count, taps, _ = grid.shape
        batch = torch.get_num_threads()  # grid_sample runs one thread for each image of a batch
        if count % batch:
            batch = 1
        texture = self.texture.expand(batch, -1, -1, -1)
        found = torch.nn.functional.grid_sample(texture, grid.view(batch, count // batch, taps, 2), align_corners=True)
        return found.transpose(0, 1).reshape(3, count, taps)


def scale_of(affine: Tensor) -> Tensor:
    """Return the factor by which the maps (N, 4) change lengths, the root of the area's factor: (N,)."""
    a, b, c, d = affine.unbind(dim=1)
    return (a * d - b * c).abs().sqrt()


def _basis(offsets: Tensor) -> Tensor:
    """Return (6, 2 T), which maps (x, a, b, y, c, d) to (x + a dx + b dy, y + c dx + d dy) of each offset."""
    basis = offsets.new_zeros(6, len(offsets), 2)
    basis[0, :, 0] = basis[3, :, 1] = 1
    basis[1, :, 0] = basis[4, :, 1] = offsets[:, 0]
    basis[2, :, 0] = basis[5, :, 1] = offsets[:, 1]
    return basis.view(6, -1)
