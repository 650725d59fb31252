"""Data: sources of pictures, patch mining, degradation, and the DataModule that feeds a training."""

from facehall.data.benchmark import BenchmarkSource
from facehall.data.datamodule import PatchDataModule
from facehall.data.datasets import ImageDataset, PatchDataset, PatchSampler
from facehall.data.degradation import BicubicDegradation
from facehall.data.div2k import Div2kSource
from facehall.data.faces import FacesSource
from facehall.data.folders import FolderSource, PairedSource
from facehall.data.mining import Mining, flatness_isr, flatness_std
from facehall.data.pairs import load_pair
from facehall.data.sample import SampleSource
from facehall.data.sources import ImageFile, Source

__all__ = [
    "BenchmarkSource",
    "BicubicDegradation",
    "Div2kSource",
    "FacesSource",
    "FolderSource",
    "ImageDataset",
    "ImageFile",
    "Mining",
    "PairedSource",
    "PatchDataModule",
    "PatchDataset",
    "PatchSampler",
    "SampleSource",
    "Source",
    "flatness_isr",
    "flatness_std",
    "load_pair",
]
