"""Training callbacks: the files of a run folder, console output and monitoring."""

from facehall.training.callbacks.best import BestWeights
from facehall.training.callbacks.checkpoint import Checkpoints
from facehall.training.callbacks.collapse import CollapseWatch
from facehall.training.callbacks.compile import Compile
from facehall.training.callbacks.dashboard import DefineMeasures
from facehall.training.callbacks.epoch_lines import EpochLines
from facehall.training.callbacks.export import ExportWeights
from facehall.training.callbacks.history import History
from facehall.training.callbacks.mining import MiningStatistics
from facehall.training.callbacks.samples import SamplePanels
from facehall.training.callbacks.step_times import StepTimes

__all__ = [
    "BestWeights",
    "Checkpoints",
    "CollapseWatch",
    "Compile",
    "DefineMeasures",
    "EpochLines",
    "ExportWeights",
    "History",
    "MiningStatistics",
    "SamplePanels",
    "StepTimes",
]
