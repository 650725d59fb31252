"""What a training minimises: three weighted terms, each of which may be off (the paper's sec. 4.5)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from facehall.losses.adversarial import AdversarialLoss


@dataclass(frozen=True)
class TermWeights:
    """Weight of each term of the generator's loss; 0 switches a term off."""

    pixel: float = 1.0
    perceptual: float = 0.0
    adversarial: float = 0.0

    def blend(self, other: TermWeights, share: float) -> TermWeights:
        """(1 - share) of these weights and `share` of the others, term by term; share in [0, 1]."""
        return TermWeights(
            pixel=(1 - share) * self.pixel + share * other.pixel,
            perceptual=(1 - share) * self.perceptual + share * other.perceptual,
            adversarial=(1 - share) * self.adversarial + share * other.adversarial,
        )


@dataclass(frozen=True)
class Objective:
    """The terms and their weights in both phases of the curriculum.

    Args:
        pixel: {scale: image}, hr -> scalar.
        adversarial: the GAN's two losses on logits.
        psnr: weights of the first phase. It has no adversarial term: there is no discriminator yet.
        gan: weights that the second phase ramps up to.
    """

    pixel: nn.Module
    adversarial: AdversarialLoss
    psnr: TermWeights
    gan: TermWeights

    def __post_init__(self) -> None:
        if self.psnr.adversarial:
            raise ValueError(
                f"loss.psnr.adversarial is {self.psnr.adversarial}, but the PSNR phase trains no discriminator: "
                "set it to 0, or curriculum.psnr_steps=0 to train with the GAN from the start"
            )
