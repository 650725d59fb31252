"""Annotation files for a whole picture set (JSON or NPZ), read once per process."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.reading import as_identity, as_landmarks, check_landmarks, read_object, read_parsing
from facehall.data.annotations.schemes import LandmarkScheme, ParsingScheme, landmark_scheme, parsing_scheme
from facehall.data.annotations.sidecar import file_state
from facehall.errors import FacehallError

PTS_PER_PIXEL = 8
"""Units per pixel of the integer `pts` in an NPZ file: 1/8 pixel, so that dense points fit 16 bits."""

_JSON = (
    'Expected {"pictures": {"FILE BELOW data.root": {"landmarks": [[x, y], …], "parsing": "MAP.png", "identity": "A"}, '
    '…}}, each of the three optional, with "landmark_scheme" and "parsing_scheme" next to "pictures".'
)
_NPZ = (
    "Expected names (P,), paths below data.root, and any of landmarks (P, N, 2) in pixels, pts (P, N, 2) integers in "
    "1/8 pixel, and identity (P,); landmark_scheme is optional."
)


@dataclass(frozen=True)
class PictureSet:
    """Content of a set file. Pictures are named by their path below the root of the set.

    Attributes:
        names: all pictures with an entry.
        landmarks: picture -> (N, 2) float32.
        parsing: picture -> path of the parsing map.
        identity: picture -> number of the person.
    """

    names: frozenset[str]
    landmarks: dict[str, np.ndarray] = field(default_factory=dict)
    parsing: dict[str, Path] = field(default_factory=dict)
    identity: dict[str, int] = field(default_factory=dict)
    landmark_scheme: LandmarkScheme | None = None
    parsing_scheme: ParsingScheme | None = None


@dataclass(frozen=True)
class Entry:
    """Annotations of one picture in a set file.

    Attributes:
        file: the set file, see `read_set`.
        name: name of the picture: its path below the root of the set, with suffix and forward slashes.
    """

    file: Path
    name: str

    def read(self, size: tuple[int, int]) -> Annotations:
        found = read_set(self.file)
        if self.name not in found.names:
            raise FacehallError(
                f"{self.name} has no annotations in {self.file}: add an entry for it, or remove the picture."
            )
        where = f"{self.name} in {self.file}"
        landmarks, map_path, parsing = found.landmarks.get(self.name), found.parsing.get(self.name), None
        if landmarks is not None:
            check_landmarks(landmarks, size, where)
        if map_path is not None:
            assert found.parsing_scheme is not None
            parsing = read_parsing(map_path, size, len(found.parsing_scheme))
        return Annotations(
            size,
            landmarks,
            parsing,
            found.identity.get(self.name),
            None if landmarks is None else found.landmark_scheme,
            None if parsing is None else found.parsing_scheme,
        )

    def state(self) -> str:
        map_path = read_set(self.file).parsing.get(self.name)
        return f"{file_state(self.file)} {self.name} {'' if map_path is None else file_state(map_path)}"


def read_set(file: Path) -> PictureSet:
    """Read the annotations of a picture set.

    JSON::

        {"landmark_scheme": "ibug68", "parsing_scheme": ["background", "skin", "left_eye", "right_eye"],
         "pictures": {"london/001.jpg": {"landmarks": [[x, y], …], "parsing": "maps/001.png", "identity": "001"}}}

    Parsing maps are PNG files with paths relative to this file. NPZ: arrays ``names`` (P,), ``landmarks`` (P, N, 2) in
    pixels or ``pts`` (P, N, 2) integers in 1/8 pixel, ``identity`` (P,), ``landmark_scheme``. Landmarks are relative to
    the centre of the top-left pixel of the whole upright file. A scheme is a known name or a list of labels; it may be
    omitted for 5 or 68 landmarks. Identities are integers, or strings, which are numbered in sorted order.

    Raises:
        FacehallError: the file is missing or malformed.
    """
    return _read(file, file_state(file))


@functools.lru_cache(maxsize=8)  # keyed by state, so that a changed file is read again
def _read(file: Path, state: str) -> PictureSet:
    return _from_npz(file) if file.suffix.lower() == ".npz" else _from_json(file)


def _from_json(file: Path) -> PictureSet:
    found = read_object(file, _JSON)
    pictures = found.get("pictures")
    if not isinstance(pictures, dict) or not all(isinstance(entry, dict) for entry in pictures.values()):
        raise FacehallError(f"The annotations {file} have no valid 'pictures'. {_JSON}")
    landmarks, parsing, identity = {}, {}, {}
    for name, entry in pictures.items():
        if unknown := entry.keys() - {"landmarks", "parsing", "identity"}:
            raise FacehallError(f"{name} in {file}: unknown key {min(unknown)!r}. {_JSON}")
        if "landmarks" in entry:
            landmarks[name] = as_landmarks(entry["landmarks"], f"{name} in {file}")
        if "parsing" in entry:
            if not isinstance(entry["parsing"], str):
                raise FacehallError(f"{name} in {file}: parsing must be the path of a PNG file. {_JSON}")
            parsing[name] = file.parent / entry["parsing"]
        if "identity" in entry:
            identity[name] = entry["identity"]
    counts = {len(points): name for name, points in landmarks.items()}
    if len(counts) > 1:
        example = " but ".join(f"{name} has {count}" for count, name in list(counts.items())[:2])
        raise FacehallError(f"{file}: {example} landmarks; all pictures of a set must use the same scheme.")
    points = landmark_scheme(found.get("landmark_scheme"), min(counts), str(file)) if counts else None
    classes = parsing_scheme(found.get("parsing_scheme"), str(file)) if parsing else None
    return PictureSet(frozenset(pictures), landmarks, parsing, _numbered(identity, file), points, classes)


def _from_npz(file: Path) -> PictureSet:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except OSError as error:
        raise FacehallError(f"The annotations {file} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # zipfile and numpy raise almost anything on damaged bytes
        raise FacehallError(f"The annotations {file} cannot be read ({error}). {_NPZ}") from error
    names, points, identity = arrays.get("names"), arrays.get("landmarks"), arrays.get("identity")
    if names is None or names.ndim != 1 or names.dtype.kind != "U":
        raise FacehallError(f"The annotations {file} have no valid names. {_NPZ}")
    if len(set(names.tolist())) < len(names):
        raise FacehallError(f"The annotations {file} list a picture twice: names must be unique.")
    if points is None and "pts" in arrays:
        if arrays["pts"].dtype.kind not in "iu":
            raise FacehallError(f"The pts in the annotations {file} are not integers. {_NPZ}")
        points = arrays["pts"].astype(np.float32) / PTS_PER_PIXEL
    if points is None and identity is None:
        raise FacehallError(f"The annotations {file} hold no landmarks, pts or identity. {_NPZ}")
    landmarks: dict[str, np.ndarray] = {}
    scheme = None
    if points is not None:
        if points.ndim != 3 or len(points) != len(names):
            raise FacehallError(
                f"The annotations {file} have landmarks of shape {points.shape} for {len(names)} names. {_NPZ}"
            )
        each = zip(names.tolist(), points, strict=True)
        landmarks = {name: as_landmarks(values, f"{name} in {file}") for name, values in each}
        declared = arrays.get("landmark_scheme")
        scheme = landmark_scheme(None if declared is None else declared.tolist(), points.shape[1], str(file))
    if identity is not None and identity.shape != names.shape:
        raise FacehallError(
            f"The annotations {file} have identity of shape {identity.shape} for {len(names)} names. {_NPZ}"
        )
    people = {} if identity is None else dict(zip(names.tolist(), identity.tolist(), strict=True))
    return PictureSet(frozenset(names.tolist()), landmarks, {}, _numbered(people, file), scheme)


def _numbered(identities: dict[str, Any], file: Path) -> dict[str, int]:
    """Return identities as integers; strings are numbered in sorted order."""
    if identities and all(isinstance(value, str) for value in identities.values()):
        numbers = {text: number for number, text in enumerate(sorted(set(identities.values())))}
        return {name: numbers[text] for name, text in identities.items()}
    return {name: as_identity(value, f"{name} in {file}") for name, value in identities.items()}
