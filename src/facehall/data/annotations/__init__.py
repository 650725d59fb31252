"""Picture annotations (landmarks, parsing maps, identities): storage formats and labelling schemes."""

from facehall.data.annotations.annotation import KINDS, Annotations
from facehall.data.annotations.locations import Location, locator
from facehall.data.annotations.schemes import (
    CELEBAMASK19,
    FACES9,
    FACES11,
    FIVE,
    IBUG68,
    MESH468,
    LandmarkScheme,
    ParsingScheme,
)
from facehall.data.annotations.set_files import Entry, read_set
from facehall.data.annotations.sidecar import Sidecar, write_sidecar

__all__ = [
    "CELEBAMASK19",
    "FACES9",
    "FACES11",
    "FIVE",
    "IBUG68",
    "KINDS",
    "MESH468",
    "Annotations",
    "Entry",
    "LandmarkScheme",
    "Location",
    "ParsingScheme",
    "Sidecar",
    "locator",
    "read_set",
    "write_sidecar",
]
