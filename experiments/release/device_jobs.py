"""What device.py can train: networks, loss terms and their weights, and the shares of the training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device_faces import OUTSIDE, Share
from facehall.faces.templates import FFHQ_FIVE
from facehall.losses import (
    AdversarialLoss,
    FacePointsLoss,
    LossTerm,
    LPIPSLoss,
    PartsLoss,
    PerceptualLoss,
    PyramidPixelLoss,
    RecognitionLoss,
)
from facehall.losses.parts import DEFAULT
from facehall.models.generators import Generator, MultiScaleResNet, MultiScaleUNet
from facehall.models.perceptual import VGG16sFeatures

SHIFT = 8
"""Losses of features see crops whose corner varies by so many pixels, against dots on the grid of their strides."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        data: ``crops`` (x4, clean), ``blind`` (x4), ``faces`` (x8, all sets) or ``frames`` (x8, whole pictures).
        weights: loss terms of `TERMS`, and ``pixel``.
        count: pictures of a batch, of 256 pixels for crops.
        lr, muon_lr: the highest rates.
    """

    data: str
    weights: Mapping[str, float]
    count: int = 32
    lr: float = 2e-3
    muon_lr: float = 0.01

    @property
    def scale(self) -> int:
        return 8 if self.data in ("faces", "frames") else 4

    def network(self) -> Generator:
        """Make the generator; its cost is at most 6 GMACs for a face of 64 pixels, or of 16 pixels at x8."""
        if self.data == "blind":
            return MultiScaleUNet(scale=4)
        if self.scale == 4:
            return MultiScaleResNet(scale=4, blocks=14)
        return MultiScaleResNet(scale=8, blocks=12, features=96, stage_features=64, upsampling="nearest", position=16)

    def terms(self) -> dict[str, LossTerm]:
        pixel = PartsLoss({**DEFAULT, OUTSIDE: 0.0}) if self.scale == 8 else PyramidPixelLoss()
        return {"pixel": pixel, **{name: TERMS[name]() for name in self.weights if name != "pixel"}}


def vgg16s() -> LossTerm:
    layers = {"conv2_2": 0.5, "conv3_3": 0.5}
    return PerceptualLoss(VGG16sFeatures(layers), layers, SHIFT)


FIVE = [[x / 512, y / 512] for x, y in FFHQ_FIVE]
TERMS: dict[str, Callable[[], LossTerm]] = {
    "lpips": lambda: LPIPSLoss(shift=SHIFT),
    "vgg16s": vgg16s,
    "identity": lambda: RecognitionLoss("facehall", template=FIVE),
    "mobileface": lambda: RecognitionLoss("mobileface", template=FIVE),
    "points": FacePointsLoss,
    "adversarial": lambda: AdversarialLoss("ragan"),
}
GENTLE = {"lr": 4e-4, "muon_lr": 0.002}
"""Rates of trainings that start from a faithful network."""
PERCEPTUAL_X4 = {"pixel": 1.0, "lpips": 0.15}
PERCEPTUAL_X8 = {"pixel": 1.0, "lpips": 0.06, "points": 0.5, "identity": 0.06, "mobileface": 0.06}
JOBS = {
    "x4_faithful": Job("crops", {"pixel": 1.0}),
    "x4_balanced": Job("crops", {"pixel": 1.0, "lpips": 0.01, "vgg16s": 0.0002}, **GENTLE),
    "blind_faithful": Job("blind", {"pixel": 1.0}),
    "blind": Job("blind", {**PERCEPTUAL_X4, "adversarial": 0.015}, **GENTLE),
    "x8_faithful": Job("faces", {"pixel": 1.0}, count=64),
    "x8": Job("frames", {**PERCEPTUAL_X8, "adversarial": 0.006}, count=64, **GENTLE),
}
X4_SHARES = (
    Share("celebahq512", 0.37, (224, 240, 256, 256, 256, 288, 320, 384)),
    Share("ffhq256", 0.48, (192, 224, 256, 256, 256)),
    Share("celeba_fm96", 0.05, (72, 80, 88)),
    Share("utk128", 0.07, (56, 64, 72, 80)),
    Share("lfw128", 0.03, (80, 96)),
)
X8_SHARES = {
    "faces": {"celebahq512": 0.16, "ffhq256": 0.46, "lfw128": 0.12, "celeba_fm96": 0.15, "utk128": 0.11},
    "frames": {"celebahq512": 0.25, "ffhq256": 0.75},
}
