"""Annotations in files beside their picture: NAME.annotations.json and NAME.parsing.png."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.reading import as_identity, as_landmarks, check_landmarks, read_object, read_parsing
from facehall.data.annotations.schemes import declaration, landmark_scheme, parsing_scheme
from facehall.errors import FacehallError
from facehall.imaging import Picture, write_picture
from facehall.io.atomic import write_text

JSON = ".annotations.json"
PARSING = ".parsing.png"

_LAYOUT = (
    'It needs {"landmarks": [[x, y], …], "identity": 3}, either of which may be missing, and may declare '
    '"landmark_scheme", "parsing_scheme" and "cutout".'
)


@dataclass(frozen=True)
class Beside:
    """The annotations beside one picture.

    ``NAME.annotations.json`` holds ``{"landmarks": [[x, y], …], "identity": 3}`` and ``NAME.parsing.png`` the parsing
    map; either file and either key may be missing. The schemes are declared in NAME.annotations.json or, for the whole
    set, in `defaults`. ``"cutout": true`` says that the picture is part of a larger one, so that landmarks may lie
    anywhere outside of it.

    Attributes:
        picture: NAME with its suffix.
        defaults: a JSON file with ``landmark_scheme`` and ``parsing_scheme`` of all pictures of the set, or None.
    """

    picture: Path
    defaults: Path | None = None

    def read(self, size: tuple[int, int]) -> Annotations:
        text, map_path = beside(self.picture)
        if not text.is_file() and not map_path.is_file():
            raise FacehallError(
                f"{self.picture} has no annotations: neither {text.name} nor {map_path.name} is beside it. Add one of "
                "them, or remove the picture."
            )
        declared = {} if self.defaults is None else read_object(self.defaults, _LAYOUT)
        own = read_object(text, _LAYOUT) if text.is_file() else {}
        declared |= own
        landmarks = parsing = names = classes = None
        if "landmarks" in own:
            landmarks = as_landmarks(own["landmarks"], str(text))
            if own.get("cutout") is not True:
                check_landmarks(landmarks, size, str(text))
            names = landmark_scheme(declared.get("landmark_scheme"), len(landmarks), str(text))
        if map_path.is_file():
            classes = parsing_scheme(declared.get("parsing_scheme"), f"{self.defaults or text}")
            parsing = read_parsing(map_path, size, len(classes))
        identity = as_identity(own["identity"], str(text)) if "identity" in own else None
        return Annotations(size, landmarks, parsing, identity, names, classes)

    def state(self) -> str:
        paths = [*beside(self.picture), *([self.defaults] if self.defaults else [])]
        return " ".join(file_state(path) for path in paths)


def beside(picture: Path) -> tuple[Path, Path]:
    """The JSON file and the parsing map of a picture, there or not."""
    return picture.with_name(picture.stem + JSON), picture.with_name(picture.stem + PARSING)


def is_parsing_map(path: Path, stems: set[Path]) -> bool:
    """Whether an image file is the parsing map of a picture, and not a picture itself.

    Args:
        stems: the paths, without suffix, of all image files around.
    """
    return path.name.endswith(PARSING) and path.with_name(path.name.removesuffix(PARSING)) in stems


def file_state(path: Path) -> str:
    """Which file this is, in which state; also of one that is not there."""
    try:
        stat = path.stat()
    except OSError:
        return f"{path.resolve()} -"
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


def write_beside(picture: Path, annotations: Annotations) -> None:
    """Write annotations beside the cut-out that they describe, each file whole or not at all, with their schemes.

    Raises:
        FacehallError, OSError: the disk refuses.
    """
    text, map_path = beside(picture)
    entry: dict[str, object] = {"cutout": True}
    if annotations.landmarks is not None and annotations.landmark_scheme is not None:
        entry["landmark_scheme"] = declaration(annotations.landmark_scheme)
        entry["landmarks"] = [[round(float(x), 3), round(float(y), 3)] for x, y in annotations.landmarks]
    if annotations.parsing is not None and annotations.parsing_scheme is not None:
        entry["parsing_scheme"] = declaration(annotations.parsing_scheme)
        grey = np.repeat(annotations.parsing[..., None], 3, axis=2)
        write_picture(map_path, Picture(grey, grey=True))
    if annotations.identity is not None:
        entry["identity"] = annotations.identity
    write_text(text, json.dumps(entry) + "\n")
