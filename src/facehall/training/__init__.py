"""Training: the LightningModule, curriculum, averaged generator, callbacks and checkpoints."""

from facehall.training.curriculum import Curriculum
from facehall.training.module import SuperResolution

__all__ = ["Curriculum", "SuperResolution"]
