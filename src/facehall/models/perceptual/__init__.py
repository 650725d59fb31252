"""Frozen feature extractors for the perceptual loss."""

from facehall.models.perceptual.vgg import LAYERS, VGG16Features
from facehall.models.perceptual.vgg16s import VGG16S_LAYERS, VGG16S_WEIGHTS, VGG16sFeatures

__all__ = ["LAYERS", "VGG16S_LAYERS", "VGG16S_WEIGHTS", "VGG16Features", "VGG16sFeatures"]
