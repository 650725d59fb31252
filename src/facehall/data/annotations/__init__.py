"""What travels with a picture: landmarks, parsing maps, identities; where they are stored and how they are labelled."""

from facehall.data.annotations.annotation import KINDS, Annotations
from facehall.data.annotations.beside import Beside, write_beside
from facehall.data.annotations.locations import Location, locator
from facehall.data.annotations.schemes import (
    CELEBAMASK19,
    FACES9,
    FACES11,
    FIVE,
    IBUG68,
    LandmarkScheme,
    ParsingScheme,
)
from facehall.data.annotations.set_files import Entry, read_set

__all__ = [
    "CELEBAMASK19",
    "FACES9",
    "FACES11",
    "FIVE",
    "IBUG68",
    "KINDS",
    "Annotations",
    "Beside",
    "Entry",
    "LandmarkScheme",
    "Location",
    "ParsingScheme",
    "locator",
    "read_set",
    "write_beside",
]
