"""Discriminators: classify HR patches as real or super-resolved; they return logits."""

from facehall.models.discriminators.face_parts import FacePartsDiscriminator
from facehall.models.discriminators.paper import PaperDiscriminator
from facehall.models.discriminators.pfsr import PFSRDiscriminator
from facehall.models.discriminators.spsr import SPSRDiscriminator
from facehall.models.discriminators.srgan import SRGANDiscriminator
from facehall.models.discriminators.unet import UNetDiscriminator
from facehall.models.discriminators.vgg import VGGDiscriminator

__all__ = [
    "FacePartsDiscriminator",
    "PFSRDiscriminator",
    "PaperDiscriminator",
    "SPSRDiscriminator",
    "SRGANDiscriminator",
    "UNetDiscriminator",
    "VGGDiscriminator",
]
