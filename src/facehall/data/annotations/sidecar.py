"""Annotations in sidecar files next to each picture: NAME.annotations.json and NAME.parsing.png."""

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
    'Expected {"landmarks": [[x, y], …], "identity": 3}, both optional; "landmark_scheme", "parsing_scheme" and '
    '"cutout" may be added.'
)


@dataclass(frozen=True)
class Sidecar:
    """Annotations in the sidecar files of one picture.

    ``NAME.annotations.json`` holds ``{"landmarks": [[x, y], …], "identity": 3}`` and ``NAME.parsing.png`` the parsing
    map; either file and either key may be missing. Schemes are declared in NAME.annotations.json or, for the whole
    set, in `defaults`. ``"cutout": true`` marks a crop of a larger picture, whose landmarks may lie anywhere outside.

    Attributes:
        picture: path of the picture (NAME with its suffix).
        defaults: JSON file with ``landmark_scheme`` and ``parsing_scheme`` for all pictures of the set, or None.
    """

    picture: Path
    defaults: Path | None = None

    def read(self, size: tuple[int, int]) -> Annotations:
        text, map_path = sidecar_paths(self.picture)
        if not text.is_file() and not map_path.is_file():
            raise FacehallError(
                f"{self.picture} has no annotations: neither {text.name} nor {map_path.name} exists next to it. Add "
                "one of them, or remove the picture."
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
        paths = [*sidecar_paths(self.picture), *([self.defaults] if self.defaults else [])]
        return " ".join(file_state(path) for path in paths)


def sidecar_paths(picture: Path) -> tuple[Path, Path]:
    """Return the paths of a picture's JSON file and parsing map, whether or not they exist."""
    return picture.with_name(picture.stem + JSON), picture.with_name(picture.stem + PARSING)


def is_parsing_map(path: Path, stems: set[Path]) -> bool:
    """Return whether an image file is the parsing map of another picture.

    Args:
        stems: paths, without suffix, of all image files in the folder tree.
    """
    return path.name.endswith(PARSING) and path.with_name(path.name.removesuffix(PARSING)) in stems


def file_state(path: Path) -> str:
    """Return a text that identifies a file and its current state (path, size, mtime); also for a missing file."""
    try:
        stat = path.stat()
    except OSError:
        return f"{path.resolve()} -"
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


def write_sidecar(picture: Path, annotations: Annotations) -> None:
    """Write the annotations of a crop, with their schemes, next to its picture; each file is written atomically.

    Raises:
        FacehallError, OSError: a file cannot be written.
    """
    text, map_path = sidecar_paths(picture)
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
