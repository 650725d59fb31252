"""Pretrained third-party weights: located on this machine, or downloaded and verified."""

from facehall.assets.registry import ASSETS, Asset, get_asset
from facehall.assets.resolve import Located, WeightsNotFoundError, is_offline, locate, resolve
from facehall.assets.weights_file import read_weights

__all__ = [
    "ASSETS",
    "Asset",
    "Located",
    "WeightsNotFoundError",
    "get_asset",
    "is_offline",
    "locate",
    "read_weights",
    "resolve",
]
