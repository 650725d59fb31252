"""Training: the LightningModule, the curriculum, the averaged generator, and what a run leaves behind."""

from facehall.engine.curriculum import Curriculum
from facehall.engine.module import SuperResolution

__all__ = ["Curriculum", "SuperResolution"]
