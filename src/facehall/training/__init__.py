"""Training: the LightningModule, the curriculum, the averaged generator, and what a run leaves behind."""

from facehall.training.curriculum import Curriculum
from facehall.training.module import SuperResolution

__all__ = ["Curriculum", "SuperResolution"]
