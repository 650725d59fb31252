"""Degradations that make LR images from HR images, one per file, and the steps they are composed of."""

from facehall.data.degradations.base import Degradation, Recipe, recipe_of
from facehall.data.degradations.bicubic import BicubicDegradation
from facehall.data.degradations.blind_face import BlindFaceDegradation
from facehall.data.degradations.grainy import GrainyDegradation
from facehall.data.degradations.low_light import LowLightDegradation
from facehall.data.degradations.mixed import MixedDegradation
from facehall.data.degradations.occluded import OccludedDegradation
from facehall.data.degradations.photo import PhotoDegradation
from facehall.data.degradations.real import RealDegradation, RealStage

__all__ = [
    "BicubicDegradation",
    "BlindFaceDegradation",
    "Degradation",
    "GrainyDegradation",
    "LowLightDegradation",
    "MixedDegradation",
    "OccludedDegradation",
    "PhotoDegradation",
    "RealDegradation",
    "RealStage",
    "Recipe",
    "recipe_of",
]
