"""Losses: pixel, perceptual (eq. 1), adversarial, and the objective that weighs them."""

from facehall.losses.adversarial import AdversarialLoss, HingeLoss, RelativisticAverageLoss, VanillaLoss
from facehall.losses.lpips import LPIPSLoss
from facehall.losses.objective import Objective, TermWeights
from facehall.losses.perceptual import PerceptualLoss, perceptual_distance
from facehall.losses.pixel import PyramidPixelLoss, charbonnier

__all__ = [
    "AdversarialLoss",
    "HingeLoss",
    "LPIPSLoss",
    "Objective",
    "PerceptualLoss",
    "PyramidPixelLoss",
    "RelativisticAverageLoss",
    "TermWeights",
    "VanillaLoss",
    "charbonnier",
    "perceptual_distance",
]
