"""Data: sources of pictures, patch mining, degradation, and the DataModule that feeds a training."""

from facehall.data.datamodule import PatchDataModule
from facehall.data.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.degradation import BicubicDegradation
from facehall.data.folders import Div2kSource, FolderSource, PairedSource
from facehall.data.mined import MinedSource
from facehall.data.mining import Mining, flatness_isr, flatness_std
from facehall.data.pairs import load_pair
from facehall.data.sample import SampleSource
from facehall.data.shards import ShardDataModule
from facehall.data.sources import ImageFile, Source

__all__ = [
    "BicubicDegradation",
    "Div2kSource",
    "FolderSource",
    "ImageDataset",
    "ImageFile",
    "MinedSource",
    "Mining",
    "PairedSource",
    "PatchDataModule",
    "PatchDataset",
    "PatchSampler",
    "SampleSource",
    "ShardDataModule",
    "Source",
    "flatness_isr",
    "flatness_std",
    "load_pair",
]
