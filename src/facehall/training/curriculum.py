"""The way from PSNR to GAN in one run, counted in generator steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from facehall.losses import TermWeights

Phase = Literal["psnr", "gan"]


@dataclass(frozen=True)
class Curriculum:
    """First pixels only, then the whole objective, with a ramp in between.

    Args:
        psnr_steps: generator steps of the first phase.
        gan_steps: generator steps of the second; 0 trains for PSNR only.
        ramp_steps: steps of the second phase over which the weights move from `objective.psnr` to `objective.gan`.
        ramp: the ramp's shape.
        warmup_steps: steps of the second phase before the ramp, in which the discriminator trains already and the
            generator goes on as in the first phase: it meets no judge that knows nothing yet.
    """

    psnr_steps: int
    gan_steps: int = 0
    ramp_steps: int = 0
    ramp: Literal["linear", "cosine"] = "linear"
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if min(self.psnr_steps, self.gan_steps, self.ramp_steps, self.warmup_steps) < 0 or self.total_steps == 0:
            raise ValueError(f"curriculum: steps are not negative and not all 0, but got {self}")
        if self.warmup_steps + self.ramp_steps > self.gan_steps:
            raise ValueError(
                f"curriculum.warmup_steps={self.warmup_steps} and curriculum.ramp_steps={self.ramp_steps} do not fit "
                f"into curriculum.gan_steps={self.gan_steps}"
            )
        if self.ramp not in ("linear", "cosine"):
            raise ValueError(f"curriculum.ramp is linear or cosine, not {self.ramp!r}")

    @property
    def total_steps(self) -> int:
        return self.psnr_steps + self.gan_steps

    def phase(self, step: int) -> Phase:
        """The phase of generator step `step`, counted from 0."""
        return "psnr" if step < self.psnr_steps else "gan"

    def share(self, step: int) -> float:
        """How far the ramp has come at step `step`: 0 before its first step, 1 after its last."""
        done = step - self.psnr_steps - self.warmup_steps + 1
        if done <= 0:
            return 0.0
        if done >= self.ramp_steps:
            return 1.0
        linear = done / self.ramp_steps
        return linear if self.ramp == "linear" else (1 - math.cos(math.pi * linear)) / 2

    def weights(self, step: int, psnr: TermWeights, gan: TermWeights) -> TermWeights:
        """The weights of the loss terms at step `step`."""
        return psnr.blend(gan, self.share(step))
