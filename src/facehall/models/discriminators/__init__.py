"""Discriminators: classify HR patches as real or super-resolved; they return logits."""

from facehall.models.discriminators.paper import PaperDiscriminator
from facehall.models.discriminators.unet import UNetDiscriminator

__all__ = ["PaperDiscriminator", "UNetDiscriminator"]
