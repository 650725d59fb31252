"""Terms that keep a Wasserstein discriminator (a critic) well behaved: gradient penalty and drift."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.losses.base import Batch, LossTerm, Outputs


class GradientPenalty(LossTerm):
    """mean((|grad D(x)| - 1)^2) at random mixtures x of HR and SR (Gulrajani et al. 2017, WGAN-GP, eq. 3).

    A discriminator's term, usually weighted by 10. It differentiates the discriminator twice.
    """

    needs = ("outputs.discriminator", "outputs.sr", "batch.hr")

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        real, fake = batch["hr"], outputs["sr"].detach()
        share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
        mixed = torch.lerp(fake.to(real.dtype), real, share).requires_grad_()
        logits = outputs["discriminator"](mixed)
        (gradient,) = torch.autograd.grad(logits.float().sum(), mixed, create_graph=True)
        norm = torch.sqrt(gradient.flatten(1).square().sum(dim=1) + 1e-12)  # finite derivative at 0
        return (norm - 1).square().mean()


class LogitDrift(LossTerm):
    """mean(D(HR)^2), with a small weight such as 0.001: logits stay near 0 (Karras et al. 2018, appendix A.1)."""

    needs = ("outputs.real_logits",)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return outputs["real_logits"].square().mean()
