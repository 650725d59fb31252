"""What the tables compare: everything that enlarges a picture, and a catalogue of it."""

from facehall.systems.bicubic import Bicubic
from facehall.systems.catalogue import CATALOGUE, Published, System
from facehall.systems.rgb import as_rgb
from facehall.systems.upscaler import Upscaler

__all__ = ["CATALOGUE", "Bicubic", "Published", "System", "Upscaler", "as_rgb"]
