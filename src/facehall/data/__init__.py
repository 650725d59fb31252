"""Data: picture sources, patch mining, degradations, and the Lightning DataModules for training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facehall.data.annotations import Annotations
from facehall.data.degradations import (
    BicubicDegradation,
    BlindFaceDegradation,
    Degradation,
    GrainyDegradation,
    LowLightDegradation,
    MixedDegradation,
    OccludedDegradation,
    PhotoDegradation,
    RealDegradation,
    RealStage,
    Recipe,
    recipe_of,
)
from facehall.data.patches.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.patches.mining import Corner, Mining
from facehall.data.patches.pairs import Pairs, load_pair
from facehall.data.sources.base import ImageFile, Source
from facehall.data.sources.benchmark import BenchmarkSource
from facehall.data.sources.div2k import Div2kSource
from facehall.data.sources.faces import FacesSource
from facehall.data.sources.folders import FolderSource, PairedSource
from facehall.data.sources.mined import MinedSource
from facehall.data.sources.sample import SampleSource
from facehall.data.storage.store import DiskStore, MemoryStore

if TYPE_CHECKING:
    from facehall.data.patches.datamodule import PatchDataModule
    from facehall.data.patches.shards import ShardDataModule

__all__ = [
    "Annotations",
    "BenchmarkSource",
    "BicubicDegradation",
    "BlindFaceDegradation",
    "Corner",
    "Degradation",
    "DiskStore",
    "Div2kSource",
    "FacesSource",
    "FolderSource",
    "GrainyDegradation",
    "ImageDataset",
    "ImageFile",
    "LowLightDegradation",
    "MemoryStore",
    "MinedSource",
    "Mining",
    "MixedDegradation",
    "OccludedDegradation",
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

_MODULES = {"PatchDataModule": "facehall.data.patches.datamodule", "ShardDataModule": "facehall.data.patches.shards"}


def __getattr__(name: str) -> Any:
    """Import data modules late: only trainings need them, and Lightning takes seconds."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
