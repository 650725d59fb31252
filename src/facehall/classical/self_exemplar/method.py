"""SelfExSR without perspective planes: the levels of the pyramid above the input, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from facehall.classical.self_exemplar.field import Field, Matcher
from facehall.classical.self_exemplar.pyramid import MIN_SIDE, Ladder, Pyramid
from facehall.classical.self_exemplar.voting import back_project, gaussian, vote
from facehall.errors import FacehallError
from facehall.io.progress import progress_bar
from facehall.models.generators import Generator, records_arguments

START_SCALE = 2.0
"""Scale of the map from each patch to its first source, at its own position."""
PATCH_SIGMA = 3.0


class SelfExSR(Generator):
    """Super-resolution from transformed self-exemplars (Huang, Singh and Ahuja, CVPR 2015), an `Upscaler`.

    The image grows in steps of about a quarter. At each, every 5x5 patch of the enlarged image is looked up among the
    affinely transformed patches of the image's own coarser levels, and replaced by the sharp counterpart of what is
    found. There is nothing to learn. The paper's perspective planes need vanishing points, whose detector was not
    published as source; this is the method without them, which is also the paper's where it finds none.

    Args:
        scale: s, 2, 3, 4 or 8.
        seed: of the random search. Equal seeds give equal images with the same machine and number of threads.
        iterations: of PatchMatch at the first level.
        fewer: iterations less at each of the following levels.
        least: iterations at any level at least.

    Raises:
        FacehallError: the scale is another.
    """

    known_scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    eager_only = True
    whole_picture = True
    backend = "eager"
    origin = ""
    trained_on: tuple[str, ...] = ()
    network = None

    @records_arguments
    def __init__(self, scale: int = 4, seed: int = 0, iterations: int = 12, fewer: int = 3, least: int = 3) -> None:
        super().__init__()
        if scale not in self.known_scales:
            raise FacehallError(f"scale={scale}: selfexsr upscales by {', '.join(map(str, self.known_scales))}.")
        self.ladder = Ladder.to(scale)
        self.scale = scale
        self.name = "selfexsr"
        self.seed = seed
        self.iterations = [max(least, iterations - fewer * level) for level in range(self.ladder.up)]

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale images one by one, with a progress bar: (B, 3, h, w) in [0, 1] -> (B, 3, s h, s w) in [0, 1]."""
        with progress_bar("searching self-exemplars", len(lr) * sum(self.iterations)) as advance:
            return torch.stack([self.synthesize(image, advance) for image in lr])

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: self(lr)}

    def upscale(self, lr: Tensor) -> Tensor:
        return self(lr[None])[0]

    def compute(self, lr: Tensor) -> Tensor:
        return self(lr)

    @torch.no_grad()
    def synthesize(self, lr: Tensor, advance: Callable[[], object] = lambda: None) -> Tensor:
        """Upscale an image: (3, h, w) -> (3, s h, s w). `advance` is called after each iteration of the search."""
        lr = lr.float()
        generator = torch.Generator().manual_seed(self.seed)
        weight = gaussian(PATCH_SIGMA, lr)
        pyramid = Pyramid(lr, self.ladder)
        field: Field | None = None
        for level, iterations in enumerate(self.iterations, start=1):
            target = pyramid.enlarged(level)
            size = (target.shape[-2], target.shape[-1])
            if min(size) < MIN_SIDE:  # no patch fits into it
                pyramid.add(level, back_project(target, lr))
                continue
            field = Field.identity(size, START_SCALE, lr) if field is None else field.resized(size)
            blurred, sharp = pyramid.sources(level)
            matcher = Matcher(target, blurred, field, weight, self.ladder.step, generator)
            for _ in range(iterations):
                matcher.iterate()
                advance()
            pyramid.add(level, back_project(vote(field, matcher.bias, sharp, weight), lr))
        return pyramid.sharp[self.ladder.up]
