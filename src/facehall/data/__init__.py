"""Data: sources of pictures, patch mining, degradation, and the DataModule that feeds a training."""

from facehall.data.datamodule import PatchDataModule
from facehall.data.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.degradation import BicubicDegradation
from facehall.data.folders import Div2kSource, FolderSource, PairedSource
from facehall.data.mined import MinedSource
from facehall.data.mining import Corner, Mining
from facehall.data.pairs import Pairs, load_pair
from facehall.data.sample import SampleSource
from facehall.data.shards import ShardDataModule
from facehall.data.sources import ImageFile, Source
from facehall.data.store import DiskStore, MemoryStore

__all__ = [
    "BicubicDegradation",
    "Corner",
    "DiskStore",
    "Div2kSource",
    "FolderSource",
    "ImageDataset",
    "ImageFile",
    "MemoryStore",
    "MinedSource",
    "Mining",
    "PairedSource",
    "Pairs",
    "PatchDataModule",
    "PatchDataset",
    "PatchSampler",
    "SampleSource",
    "ShardDataModule",
    "Source",
    "load_pair",
]
