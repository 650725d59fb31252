"""Pretrained third-party weights: located on this machine, or downloaded and verified."""

from facehall.assets.npm_files import NPM_FILES, NpmFiles, locate_npm_files, resolve_npm_files
from facehall.assets.registry import ASSETS, Asset, get_asset
from facehall.assets.resolve import Located, WeightsNotFoundError, is_offline, locate, resolve
from facehall.assets.weights_file import read_weights
from facehall.assets.wheel_files import WHEEL_FILES, WheelFile, locate_wheel_file, resolve_wheel_file

__all__ = [
    "ASSETS",
    "NPM_FILES",
    "WHEEL_FILES",
    "Asset",
    "Located",
    "NpmFiles",
    "WeightsNotFoundError",
    "WheelFile",
    "get_asset",
    "is_offline",
    "locate",
    "locate_npm_files",
    "locate_wheel_file",
    "read_weights",
    "resolve",
    "resolve_npm_files",
    "resolve_wheel_file",
]
