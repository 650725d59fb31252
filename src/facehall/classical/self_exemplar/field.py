"""The nearest-neighbour field, searched by PatchMatch over positions and affine maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.classical.self_exemplar.pyramid import MIN_SIDE, Atlas, Size, scale_of

RADIUS = MIN_SIDE // 2
CHUNK = 8192
"""Patches compared at once, which fit into the cache."""
MAX_BIAS = 0.25
"""Largest change of a channel's mean."""
MAX_SCALE = 8.0
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
SCALE_JITTER, ROTATION_JITTER, SHEAR_JITTER = 0.5, math.pi / 8, 0.025
"""Half-widths of the random changes of an affine map, divided by the number of the search radius."""


@dataclass
class Field:
    """The source of every target patch, in row-major order of the patches' centres.

    Attributes:
        size: (height, width) of the target level.
        position: (N, 2), x and y of the source's centre, in pixels of the target level.
        affine: (N, 4), row by row, the map from offsets in the target to offsets in the source.
    """

    size: Size
    position: Tensor
    affine: Tensor

    @classmethod
    def identity(cls, size: Size, scale: float, like: Tensor) -> Field:
        """Map each patch to its own position with A = scale I."""
        position = centres(size, like)
        return cls(size, position, like.new_tensor([scale, 0.0, 0.0, scale]).repeat(len(position), 1))

    def resized(self, size: Size) -> Field:
        """Carry the field over to a level of another size: each patch moves with the map of the nearest old one."""
        old = self.position.new_tensor([self.size[1], self.size[0]])
        new = self.position.new_tensor([size[1], size[0]])
        here = (centres(size, self.position) + 0.5) * (old / new) - 0.5
        nearest = here.round().clamp_(min=RADIUS).minimum(old - 1 - RADIUS)
        columns = self.size[1] - 2 * RADIUS
        index = ((nearest[:, 1] - RADIUS) * columns + nearest[:, 0] - RADIUS).long()
        affine = self.affine[index]
        moved = self.position[index] + apply(affine, here - nearest)
        position = ((moved + 0.5) * (new / old) - 0.5).clamp_(min=RADIUS).minimum(new - 1 - RADIUS)
        return Field(size, position, affine)


class Matcher:
    """Searches the sources of one level's patches.

    Args:
        target: the image (3, H, W) whose patches are matched.
        sources: blurred coarser levels.
        field: the start; changed in place.
        weight: (25,), weights of a patch's pixels, which sum to 1.
        step: alpha.
        generator: random numbers, on the CPU.

    Attributes:
        cost: (N,), the weighted squared difference of each patch and its source, summed over channels.
        bias: (N, 3), what is added to each channel of the source.
    """

    def __init__(
        self, target: Tensor, sources: Atlas, field: Field, weight: Tensor, step: float, generator: torch.Generator
    ) -> None:
        self.sources, self.field, self.generator = sources, field, generator
        self.targets = patches(target)
        self.offsets = offsets(target)
        self.moments = torch.stack((torch.full_like(weight, 1 / len(weight)), weight), dim=1)
        self.min_scale = (1 - 1e-5) / step  # the start may lie on the bound
        count = len(field.position)
        self.cost = target.new_full((count,), math.inf)
        self.bias = target.new_zeros(count, 3)
        self._accept(torch.arange(count, device=target.device), field.position, field.affine)
        self._fresh = torch.ones(count, dtype=torch.bool, device=target.device)

    def iterate(self) -> None:
        """Search at random around every source, then spread what was found to the neighbours."""
        self._search()
        for direction in DIRECTIONS:
            self._propagate(*direction)
        self._fresh.zero_()

    def _search(self) -> None:
        height, width = self.field.size
        radius, number = max(height, width) / 4, 1
        while radius > 1:
            radius, number = radius / 2, number + 1
            random = torch.rand(len(self.cost), 6, generator=self.generator).mul_(2).sub_(1).to(self.cost.device)
            position = self.field.position + radius * random[:, :2]
            affine = perturbed(self.field.affine, random[:, 2:] / number)
            index = self._valid(position, affine).nonzero().squeeze(1)
            self._fresh[self._accept(index, position[index], affine[index])] = True

    def _propagate(self, dx: int, dy: int) -> None:
        rows, columns = (side - 2 * RADIUS for side in self.field.size)
        along = self.cost.new_tensor([[dx, dy]])
        giving = self._fresh.nonzero().squeeze(1)
        while len(giving):
            x, y = giving % columns + dx, giving // columns + dy
            giving = giving[(x >= 0) & (x < columns) & (y >= 0) & (y < rows)]
            taking = giving + dx + dy * columns
            affine = self.field.affine[giving]
            position = self.field.position[giving] + apply(affine, along)
            far = ((position - self.field.position[taking]).abs() >= 1).any(dim=1)
            chosen = (far & self._valid(position, affine)).nonzero().squeeze(1)
            giving = self._accept(taking[chosen], position[chosen], affine[chosen])
            self._fresh[giving] = True

    def _valid(self, position: Tensor, affine: Tensor) -> Tensor:
        height, width = self.field.size
        x, y = position.unbind(dim=1)
        scale = scale_of(affine)
        inside = (x >= RADIUS) & (x <= width - 1 - RADIUS) & (y >= RADIUS) & (y <= height - 1 - RADIUS)
        return inside & (scale >= self.min_scale) & (scale <= MAX_SCALE)

    def _accept(self, index: Tensor, position: Tensor, affine: Tensor) -> Tensor:
        """Replace the sources of the patches `index` where the given ones are better; return those patches."""
        better = []
        for start in range(0, len(index), CHUNK):
            part = slice(start, start + CHUNK)
            which = index[part]
            source = self.sources.patches(position[part], affine[part], self.offsets)
            cost, bias = self._compare(self.targets.index_select(1, which), source)
            kept = (cost < self.cost[which]).nonzero().squeeze(1)
            which = which[kept]
            self.cost[which] = cost[kept]
            self.bias[which] = bias[kept]
            self.field.position[which] = position[part][kept]
            self.field.affine[which] = affine[part][kept]
            better.append(which)
        return torch.cat(better) if better else index

    def _compare(self, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return cost (N,) and bias (N, 3) of pairs of patches (3, N, 25)."""
        difference = target.sub_(source)
        mean, weighted = (difference @ self.moments).unbind(dim=2)
        bias = mean.clamp(-MAX_BIAS, MAX_BIAS)
        squares = difference.square_() @ self.moments[:, 1]
        # sum of w (d - b)^2, as the weights sum to 1
        return (squares - 2 * bias * weighted + bias.square()).sum(dim=0), bias.T


def centres(size: Size, like: Tensor) -> Tensor:
    """Return x and y of the centres of all patches inside an image, row by row: (N, 2)."""
    rows = torch.arange(RADIUS, size[0] - RADIUS, device=like.device)
    columns = torch.arange(RADIUS, size[1] - RADIUS, device=like.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), dim=-1).view(-1, 2).to(like.dtype)


def offsets(like: Tensor) -> Tensor:
    """Return x and y of a patch's pixels relative to its centre, row by row: (25, 2)."""
    step = torch.arange(-RADIUS, RADIUS + 1, device=like.device, dtype=like.dtype)
    y, x = torch.meshgrid(step, step, indexing="ij")
    return torch.stack((x, y), dim=-1).view(-1, 2)


def patches(image: Tensor) -> Tensor:
    """Return all patches of an image: (3, H, W) -> (3, N, 25)."""
    columns = F.unfold(image[None], MIN_SIDE).view(3, MIN_SIDE**2, -1)
    return columns.transpose(1, 2).contiguous()


def apply(affine: Tensor, vectors: Tensor) -> Tensor:
    """Map vectors (N or 1, 2) by (N, 4)."""
    return (affine.view(-1, 2, 2) * vectors[:, None, :]).sum(dim=2)


def perturbed(affine: Tensor, random: Tensor) -> Tensor:
    """Compose maps (N, 4) with small changes of scale, angle and two shears, from (N, 4) in [-1, 1]."""
    scale = 1 + SCALE_JITTER * random[:, 0]
    angle = ROTATION_JITTER * random[:, 1]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    p, q = (SHEAR_JITTER * random[:, 2:]).unbind(dim=1)
    a, b, c, d = affine.unbind(dim=1)
    # A R, then times the shear (1, p; q, 1)
    e, f, g, h = a * cosine + b * sine, b * cosine - a * sine, c * cosine + d * sine, d * cosine - c * sine
    return torch.stack((e + f * q, e * p + f, g + h * q, g * p + h), dim=1)
