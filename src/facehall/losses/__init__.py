"""Loss terms, one kind per file: ``term(outputs, batch) -> scalar``, named in the config and weighted per phase."""

from facehall.losses.adversarial import AdversarialLoss, DiscriminatorLoss
from facehall.losses.attention import LandmarkAttentionLoss
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.colour import LuminanceChrominanceLoss
from facehall.losses.edges import EdgeLoss
from facehall.losses.face_points import FacePointsLoss
from facehall.losses.gradient import GradientLoss
from facehall.losses.gradient_penalty import GradientPenalty, LogitDrift
from facehall.losses.grid import GridLoss
from facehall.losses.heatmaps import LandmarkLoss
from facehall.losses.identity import IdentityLoss, RecognitionLoss
from facehall.losses.inpainting import InpaintingLoss
from facehall.losses.lpips import LPIPSLoss
from facehall.losses.parsing import ParsingLoss
from facehall.losses.parts import PartsLoss
from facehall.losses.perceptual import PerceptualLoss, perceptual_distance
from facehall.losses.pixel import PyramidPixelLoss, charbonnier
from facehall.losses.recursions import RecursionLoss
from facehall.losses.structure import MSSSIMLoss, MultiScaleL1Loss
from facehall.losses.targeted import TargetedPerceptualLoss
from facehall.losses.weighted import WeightedTerms

__all__ = [
    "AdversarialLoss",
    "Batch",
    "DiscriminatorLoss",
    "EdgeLoss",
    "FacePointsLoss",
    "GradientLoss",
    "GradientPenalty",
    "GridLoss",
    "IdentityLoss",
    "InpaintingLoss",
    "LPIPSLoss",
    "LandmarkAttentionLoss",
    "LandmarkLoss",
    "LogitDrift",
    "LossTerm",
    "LuminanceChrominanceLoss",
    "MSSSIMLoss",
    "MultiScaleL1Loss",
    "Outputs",
    "ParsingLoss",
    "PartsLoss",
    "PerceptualLoss",
    "PyramidPixelLoss",
    "RecognitionLoss",
    "RecursionLoss",
    "TargetedPerceptualLoss",
    "WeightedTerms",
    "charbonnier",
    "perceptual_distance",
]
