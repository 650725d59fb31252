"""GAN losses on discriminator logits, and the generator's and discriminator's loss terms that use them."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.distributed.gathering import gather
from facehall.losses.base import Batch, LossTerm, Outputs

GanKind = Literal["vanilla", "ragan", "hinge", "lsgan", "wgan"]


class GanLoss(Protocol):
    """Two losses, of real (HR) and fake (SR) logits of any shape -> scalar.

    Attributes:
        relativistic: whether the generator's loss uses the real logits.
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
    """RaGAN: is real more realistic than the average fake? (ESRGAN, eqs 1 and 2; Jolicoeur-Martineau 2018).

    The average is over the whole batch, across all processes, and over positions, but not over channels: logits
    (B, C, …) are the opinions of C discriminators.
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
        dims = [dim for dim in range(real.ndim) if dim != 1]
        return gather(torch.stack([logits.mean(dims, keepdim=True) for logits in (real, fake)])).mean(0)


class HingeLoss:
    """Hinge GAN (Lim & Ye 2017): margins of 1 for the discriminator; the generator maximises D(SR)."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return -fake.mean()


class LeastSquaresLoss:
    """LSGAN (Mao et al. 2017): squared distances of the logits to 1 for real and 0 for fake."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - 1).square().mean() + fake.square().mean()) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake - 1).square().mean()


class WassersteinLoss:
    """WGAN (Arjovsky et al. 2017): differences of the mean logits; the discriminator needs a gradient penalty."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return -fake.mean()


GAN_LOSSES: dict[str, type[GanLoss]] = {
    "vanilla": VanillaLoss,
    "ragan": RelativisticAverageLoss,
    "hinge": HingeLoss,
    "lsgan": LeastSquaresLoss,
    "wgan": WassersteinLoss,
}


def gan_loss(kind: GanKind) -> GanLoss:
    """Return a GAN loss by name."""
    if kind not in get_args(GanKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(GanKind))}, not {kind!r}")
    return GAN_LOSSES[kind]()


class AdversarialLoss(LossTerm):
    """The generator's GAN term. The discriminator evaluates HR only if the loss is relativistic.

    Args:
        kind: ``vanilla``, ``ragan``, ``hinge``, ``lsgan`` or ``wgan``.
    """

    def __init__(self, kind: GanKind = "ragan") -> None:
        super().__init__()
        self.kind = kind
        self.gan = gan_loss(kind)
        self.needs = ("outputs.fake_logits", *(("outputs.real_logits",) if self.gan.relativistic else ()))

    @property
    def description(self) -> str:
        return self.kind

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        fake = outputs["fake_logits"]
        real = outputs["real_logits"] if self.gan.relativistic else fake.detach()
        return self.gan.generator(real, fake)


class DiscriminatorLoss(LossTerm):
    """The discriminator's GAN term.

    Args:
        kind: the same as in the generator's `AdversarialLoss`.
    """

    needs = ("outputs.real_logits", "outputs.fake_logits")

    def __init__(self, kind: GanKind = "ragan") -> None:
        super().__init__()
        self.kind = kind
        self.gan = gan_loss(kind)

    @property
    def description(self) -> str:
        return self.kind

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.gan.discriminator(outputs["real_logits"], outputs["fake_logits"])
