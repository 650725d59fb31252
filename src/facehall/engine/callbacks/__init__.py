"""What a training leaves in its run folder, and says while it runs."""

from facehall.engine.callbacks.best import BestWeights
from facehall.engine.callbacks.checkpoint import Checkpoints
from facehall.engine.callbacks.collapse import CollapseWatch
from facehall.engine.callbacks.compiling import Compile
from facehall.engine.callbacks.console import EpochLines
from facehall.engine.callbacks.export import ExportWeights
from facehall.engine.callbacks.history import History
from facehall.engine.callbacks.mining import MiningStatistics
from facehall.engine.callbacks.samples import SamplePanels

__all__ = [
    "BestWeights",
    "Checkpoints",
    "CollapseWatch",
    "Compile",
    "EpochLines",
    "ExportWeights",
    "History",
    "MiningStatistics",
    "SamplePanels",
]
