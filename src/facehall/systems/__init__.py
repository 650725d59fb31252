"""The systems compared in tables: the `Upscaler` interface and the catalogue of systems."""

from facehall.systems.bicubic import Bicubic
from facehall.systems.catalogue import PublishedFigure, System, load_catalogue, read_catalogue
from facehall.systems.rgb import as_rgb
from facehall.systems.upscaler import Upscaler

__all__ = ["Bicubic", "PublishedFigure", "System", "Upscaler", "as_rgb", "load_catalogue", "read_catalogue"]
