"""Discriminators: networks that tell real HR patches from super-resolved ones. They give logits."""

from facehall.models.discriminators.paper import PaperDiscriminator
from facehall.models.discriminators.unet import UNetDiscriminator

__all__ = ["PaperDiscriminator", "UNetDiscriminator"]
