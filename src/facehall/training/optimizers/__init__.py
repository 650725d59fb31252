"""Optimizers that torch lacks, one file each, and what they share: which parameter is updated in which way."""

from facehall.training.optimizers.averaging import AveragingOptimizer
from facehall.training.optimizers.clipped_sgd import ClippedSGD
from facehall.training.optimizers.groups import OptimizerFactory, build_optimizer
from facehall.training.optimizers.lion import Lion
from facehall.training.optimizers.muon import Muon
from facehall.training.optimizers.schedule_free import ScheduleFreeAdamW
from facehall.training.optimizers.soap import SOAP

__all__ = [
    "SOAP",
    "AveragingOptimizer",
    "ClippedSGD",
    "Lion",
    "Muon",
    "OptimizerFactory",
    "ScheduleFreeAdamW",
    "build_optimizer",
]
