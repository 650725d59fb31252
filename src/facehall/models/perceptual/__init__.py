"""Frozen feature extractors for the perceptual loss."""

from facehall.models.perceptual.vgg import LAYERS, VGG16Features

__all__ = ["LAYERS", "VGG16Features"]
