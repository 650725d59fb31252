"""Data: sources of pictures, patch mining, degradation, and the DataModule that feeds a training."""

from facehall.data.benchmark import BenchmarkSource
from facehall.data.datamodule import PatchDataModule
from facehall.data.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.degradations import (
    BicubicDegradation,
    BlindFaceDegradation,
    Degradation,
    LowLightDegradation,
    PhotoDegradation,
    RealDegradation,
    RealStage,
    Recipe,
    recipe_of,
)
from facehall.data.div2k import Div2kSource
from facehall.data.faces import FacesSource
from facehall.data.folders import FolderSource, PairedSource
from facehall.data.mined import MinedSource
from facehall.data.mining import Corner, Mining
from facehall.data.pairs import Pairs, load_pair
from facehall.data.sample import SampleSource
from facehall.data.shards import ShardDataModule
from facehall.data.sources import ImageFile, Source
from facehall.data.store import DiskStore, MemoryStore

__all__ = [
    "BenchmarkSource",
    "BicubicDegradation",
    "BlindFaceDegradation",
    "Corner",
    "Degradation",
    "DiskStore",
    "Div2kSource",
    "FacesSource",
    "FolderSource",
    "ImageDataset",
    "ImageFile",
    "LowLightDegradation",
    "MemoryStore",
    "MinedSource",
    "Mining",
    "PairedSource",
    "Pairs",
    "PatchDataModule",
    "PatchDataset",
    "PatchSampler",
    "PhotoDegradation",
    "RealDegradation",
    "RealStage",
    "Recipe",
    "SampleSource",
    "ShardDataModule",
    "Source",
    "load_pair",
    "recipe_of",
]
