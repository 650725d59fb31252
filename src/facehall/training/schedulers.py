"""Learning rates over the curriculum. Each function builds one of torch's schedulers.

The engine steps the generator's scheduler once per generator step and the discriminator's once per step of the
discriminator, which moves once per generator step of the GAN phase: both are functions of the generator step.
"""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def phased_cosine(
    optimizer: Optimizer, psnr_steps: int, gan_steps: int, gan_factor: float = 1.0, floor: float = 0.01
) -> LambdaLR:
    """A cosine from the full rate down to `floor` of it in each phase; the second starts at `gan_factor`.

    At generator step n of the first phase the rate is r * (floor + (1 - floor) * (1 + cos(pi n / psnr_steps)) / 2).

    Args:
        optimizer: its learning rate is r, the first phase's peak.
        psnr_steps: length of the first phase in generator steps; 0 for a discriminator.
        gan_steps: length of the second phase.
        gan_factor: peak of the second phase over that of the first.
        floor: where each cosine ends, over its peak.
    """

    def factor(step: int) -> float:
        gan = step >= psnr_steps
        done = (step - psnr_steps) / max(1, gan_steps) if gan else step / psnr_steps
        cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return (gan_factor if gan else 1.0) * (floor + (1 - floor) * cosine)

    return LambdaLR(optimizer, factor)
