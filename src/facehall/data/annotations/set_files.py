"""One file with the annotations of a whole set of pictures, JSON or NPZ, read once per process."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.beside import file_state
from facehall.data.annotations.reading import as_identity, as_landmarks, check_landmarks, read_object, read_parsing
from facehall.data.annotations.schemes import LandmarkScheme, ParsingScheme, landmark_scheme, parsing_scheme
from facehall.errors import FacehallError

FRACTION = 8
"""Integer `pts` of an NPZ file are in 1/8 pixel: dense points in 16 bits."""

_JSON = (
    'It needs {"pictures": {"FILE BELOW data.root": {"landmarks": [[x, y], …], "parsing": "MAP.png", "identity": "A"}, '
    '…}}, each of the three optional, with "landmark_scheme" and "parsing_scheme" beside "pictures".'
)
_NPZ = (
    "It needs names (P,), paths below data.root, and any of landmarks (P, N, 2) in pixels, pts (P, N, 2) integers in "
    "1/8 pixel, and identity (P,); landmark_scheme optional."
)


@dataclass(frozen=True)
class PictureSet:
    """The content of a set file.

    Attributes:
        landmarks: path of a picture below the root of the set -> (N, 2) float32.
        parsing: -> path of the parsing map.
        identity: -> number of the person.
        names: of all pictures that have an entry.
    """

    names: frozenset[str]
    landmarks: dict[str, np.ndarray] = field(default_factory=dict)
    parsing: dict[str, Path] = field(default_factory=dict)
    identity: dict[str, int] = field(default_factory=dict)
    landmark_scheme: LandmarkScheme | None = None
    parsing_scheme: ParsingScheme | None = None


@dataclass(frozen=True)
class Entry:
    """The annotations of one picture in the file of its set.

    Attributes:
        file: see `read_set`.
        name: of the picture in it: the path below the root of the set, with suffix and forward slashes.
    """

    file: Path
    name: str

    def read(self, size: tuple[int, int]) -> Annotations:
        found = read_set(self.file)
        if self.name not in found.names:
            raise FacehallError(
                f"{self.name} has no annotations in {self.file}: add an entry of that name, or remove the picture."
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
    """Read the annotations of a set.

    JSON::

        {"landmark_scheme": "ibug68", "parsing_scheme": ["background", "skin", "left_eye", "right_eye"],
         "pictures": {"london/001.jpg": {"landmarks": [[x, y], …], "parsing": "maps/001.png", "identity": "001"}}}

    Parsing maps are PNG files, their paths relative to this file. NPZ: arrays ``names`` (P,), ``landmarks``
    (P, N, 2) in pixels or ``pts`` (P, N, 2) integers in 1/8 pixel, ``identity`` (P,), ``landmark_scheme``. Landmarks
    count from the centre of the top left pixel of the whole file, upright. A scheme is a known name or a list of
    labels; that of 5 or 68 landmarks may be left out. Identities are whole numbers, or texts, which are numbered in
    sorted order.

    Raises:
        FacehallError: the file is missing, or is not as described.
    """
    return _read(file, file_state(file))


@functools.lru_cache(maxsize=8)  # by state, so that a file that changes is read anew
def _read(file: Path, state: str) -> PictureSet:
    return _from_npz(file) if file.suffix.lower() == ".npz" else _from_json(file)


def _from_json(file: Path) -> PictureSet:
    found = read_object(file, _JSON)
    pictures = found.get("pictures")
    if not isinstance(pictures, dict) or not all(isinstance(entry, dict) for entry in pictures.values()):
        raise FacehallError(f"The annotations {file} have no usable 'pictures'. {_JSON}")
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
        told = " but ".join(f"{name} has {count}" for count, name in list(counts.items())[:2])
        raise FacehallError(f"{file}: {told} landmarks: all pictures of a set must follow one scheme.")
    points = landmark_scheme(found.get("landmark_scheme"), min(counts), str(file)) if counts else None
    classes = parsing_scheme(found.get("parsing_scheme"), str(file)) if parsing else None
    return PictureSet(frozenset(pictures), landmarks, parsing, _numbered(identity, file), points, classes)


def _from_npz(file: Path) -> PictureSet:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except OSError as error:
        raise FacehallError(f"The annotations {file} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # damaged bytes make zipfile and numpy raise almost anything
        raise FacehallError(f"The annotations {file} cannot be read ({error}). {_NPZ}") from error
    names, points, identity = arrays.get("names"), arrays.get("landmarks"), arrays.get("identity")
    if names is None or names.ndim != 1 or names.dtype.kind != "U":
        raise FacehallError(f"The annotations {file} have no usable names. {_NPZ}")
    if len(set(names.tolist())) < len(names):
        raise FacehallError(f"The annotations {file} name a picture twice: names must be unique.")
    if points is None and "pts" in arrays:
        if arrays["pts"].dtype.kind not in "iu":
            raise FacehallError(f"The annotations {file} have pts that are not integers in 1/8 pixel. {_NPZ}")
        points = arrays["pts"].astype(np.float32) / FRACTION
    if points is None and identity is None:
        raise FacehallError(f"The annotations {file} hold neither landmarks nor pts nor identity. {_NPZ}")
    landmarks: dict[str, np.ndarray] = {}
    scheme = None
    if points is not None:
        if points.ndim != 3 or len(points) != len(names):
            raise FacehallError(f"The annotations {file}: landmarks {points.shape} of {len(names)} names. {_NPZ}")
        each = zip(names.tolist(), points, strict=True)
        landmarks = {name: as_landmarks(values, f"{name} in {file}") for name, values in each}
        declared = arrays.get("landmark_scheme")
        scheme = landmark_scheme(None if declared is None else declared.tolist(), points.shape[1], str(file))
    if identity is not None and identity.shape != names.shape:
        raise FacehallError(f"The annotations {file}: identity {identity.shape} of {len(names)} names. {_NPZ}")
    people = {} if identity is None else dict(zip(names.tolist(), identity.tolist(), strict=True))
    return PictureSet(frozenset(names.tolist()), landmarks, {}, _numbered(people, file), scheme)


def _numbered(identities: dict[str, Any], file: Path) -> dict[str, int]:
    """Identities as numbers; texts are numbered in sorted order."""
    if identities and all(isinstance(value, str) for value in identities.values()):
        numbers = {text: number for number, text in enumerate(sorted(set(identities.values())))}
        return {name: numbers[text] for name, text in identities.items()}
    return {name: as_identity(value, f"{name} in {file}") for name, value in identities.items()}
