"""Adversarial losses on discriminator logits. Each knows the discriminator's side and the generator's."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.distributed.ranks import gather


class AdversarialLoss(Protocol):
    """Logits of any shape, real ones for HR and fake ones for SR -> scalar.

    Attributes:
        relativistic: whether the generator's loss looks at the real logits.
    """

    relativistic: bool

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, real: Tensor, fake: Tensor) -> Tensor: ...


def bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, logits.new_full((), target).expand_as(logits))


class VanillaLoss:
    """Goodfellow et al. 2014, non-saturating: the generator minimises -log D(SR)."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (bce(real, 1.0) + bce(fake, 0.0)) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return bce(fake, 1.0)


class RelativisticAverageLoss:
    """RaGAN: is real more realistic than fake is on average? (ESRGAN, eqs 1 and 2; Jolicoeur-Martineau 2018).

    The average is that of the whole batch, over all processes of a training.
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real_mean, fake_mean = self._means(real, fake)
        return (bce(real - fake_mean, 1.0) + bce(fake - real_mean, 0.0)) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        real_mean, fake_mean = self._means(real, fake)
        return (bce(real - fake_mean, 0.0) + bce(fake - real_mean, 1.0)) / 2

    @staticmethod
    def _means(real: Tensor, fake: Tensor) -> Tensor:
        return gather(torch.stack([real.mean(), fake.mean()])).mean(0)


class HingeLoss:
    """Hinge GAN (Lim & Ye 2017): the discriminator wants margins of 1, the generator raises D(SR)."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return -fake.mean()
