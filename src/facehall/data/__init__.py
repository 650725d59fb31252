"""Data: sources of pictures, patch mining, degradation, and the DataModule that feeds a training."""

from facehall.data.datamodule import PatchDataModule
from facehall.data.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.degradations import (
    BicubicDegradation,
    BlindFaceDegradation,
    Degradation,
    LowLightDegradation,
    RealDegradation,
    RealStage,
    Recipe,
    recipe_of,
)
from facehall.data.folders import Div2kSource, FolderSource, PairedSource
from facehall.data.mining import Mining, flatness_isr, flatness_std
from facehall.data.pairs import load_pair
from facehall.data.sample import SampleSource
from facehall.data.sources import ImageFile, Source

__all__ = [
    "BicubicDegradation",
    "BlindFaceDegradation",
    "Degradation",
    "Div2kSource",
    "FolderSource",
    "ImageDataset",
    "ImageFile",
    "LowLightDegradation",
    "Mining",
    "PairedSource",
    "PatchDataModule",
    "PatchDataset",
    "PatchSampler",
    "RealDegradation",
    "RealStage",
    "Recipe",
    "SampleSource",
    "Source",
    "flatness_isr",
    "flatness_std",
    "load_pair",
    "recipe_of",
]
