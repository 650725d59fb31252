"""Labelling schemes: names of landmarks and parsing classes, and how mirroring permutes them.

Left and right are the person's own, as in iBUG's and dlib's numbering: the left eye of a frontal face lies on the
right of the picture. Mirroring a picture therefore swaps left and right labels. Label names define the swap:
``left_X`` and ``right_X`` are partners; every other label maps to itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from facehall.errors import FacehallError
from facehall.faces.mesh_points import COUNT, LEFT_SIDE, RIGHT_SIDE


@dataclass(frozen=True)
class Scheme:
    """Named labels in a fixed order.

    Args:
        name: name of the scheme.
        labels: unique names of the landmarks or classes, in order of their numbers.

    Raises:
        FacehallError: no labels, a duplicate label, or a ``left_X`` without its ``right_X``.
    """

    name: str
    labels: tuple[str, ...]
    kind: ClassVar[str] = "scheme"

    def __post_init__(self) -> None:
        if not self.labels:
            raise FacehallError(f"The {self.kind} {self.name!r} has no labels: name at least one.")
        duplicates = [label for label, count in Counter(self.labels).items() if count > 1]
        if duplicates:
            raise FacehallError(
                f"The {self.kind} {self.name!r} has the label {duplicates[0]!r} twice: labels must be unique."
            )
        for label in self.labels:
            if _partner(label) not in self.labels:
                raise FacehallError(
                    f"The {self.kind} {self.name!r} has {label!r} but no {_partner(label)!r}: mirroring needs both. "
                    "Add it, or use names that do not start with left_ or right_."
                )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def mirror(self) -> tuple[int, ...]:
        """Mirror permutation, its own inverse: label i of the mirrored picture is label mirror[i] of the original."""
        return tuple(self.labels.index(_partner(label)) for label in self.labels)


S = TypeVar("S", bound=Scheme)


class LandmarkScheme(Scheme):
    """Landmark names; landmark i is `labels[i]`."""

    kind = "landmark scheme"


class ParsingScheme(Scheme):
    """Class names of a parsing map; pixels of value k belong to `labels[k]`."""

    kind = "parsing scheme"


def _partner(label: str) -> str:
    if label.startswith("left_"):
        return "right_" + label.removeprefix("left_")
    return "left_" + label.removeprefix("right_") if label.startswith("right_") else label


def _numbered(name: str, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in numbers)


IBUG68 = LandmarkScheme(
    "ibug68",
    (
        *_numbered("right_jaw", range(1, 9)),  # 0-7, from the ear down
        "chin",
        *_numbered("left_jaw", range(8, 0, -1)),
        *_numbered("right_brow", range(1, 6)),  # 17-21, from the temple to the nose
        *_numbered("left_brow", range(5, 0, -1)),
        *_numbered("nose_bridge", range(1, 5)),  # 27-30, downwards to the tip
        *_numbered("right_nostril", (1, 2)),
        "nose_base",
        *_numbered("left_nostril", (2, 1)),
        *("right_eye_outer", "right_eye_top_outer", "right_eye_top_inner"),  # 36-41
        *("right_eye_inner", "right_eye_bottom_inner", "right_eye_bottom_outer"),
        *("left_eye_inner", "left_eye_top_inner", "left_eye_top_outer"),  # 42-47
        *("left_eye_outer", "left_eye_bottom_outer", "left_eye_bottom_inner"),
        "right_mouth_corner",  # 48-59, outer lip contour, top first
        *_numbered("right_upper_lip", (1, 2)),
        "upper_lip",
        *_numbered("left_upper_lip", (2, 1)),
        "left_mouth_corner",
        *_numbered("left_lower_lip", (1, 2)),
        "lower_lip",
        *_numbered("right_lower_lip", (2, 1)),
        *("right_inner_corner", "right_inner_upper_lip", "inner_upper_lip"),  # 60-67, inner contour
        *("left_inner_upper_lip", "left_inner_corner", "left_inner_lower_lip"),
        *("inner_lower_lip", "right_inner_lower_lip"),
    ),
)
"""The 68 points of 300-W (Sagonas et al. 2013), numbered from 0 as in dlib and FAN."""

FIVE = LandmarkScheme("five", ("right_eye", "left_eye", "nose", "right_mouth_corner", "left_mouth_corner"))
"""Eye centres, nose tip and mouth corners, in the order of MTCNN, RetinaFace and CenterFace."""

_MESH_NAMES = {right: f"right_{right}" for right in RIGHT_SIDE} | {
    left: f"left_{right}" for right, left in zip(RIGHT_SIDE, LEFT_SIDE, strict=True)
}

MESH468 = LandmarkScheme("mesh468", tuple(_MESH_NAMES.get(i, f"middle_{i}") for i in range(COUNT)))
"""All points of MediaPipe's face mesh, named by their numbers; left ones by those of their partners on the right."""

FACES11 = ParsingScheme(
    "faces11",
    (
        *("background", "skin", "right_brow", "left_brow", "right_eye", "left_eye"),
        *("nose", "lips", "mouth", "hair", "neck"),
    ),
)
"""`hair` includes ears and hats, `neck` includes clothes; `mouth` is the inside of an open mouth."""

FACES9 = ParsingScheme("faces9", ("background", "skin", "brows", "eyes", "nose", "lips", "mouth", "hair", "neck"))
"""FACES11 with both brows and both eyes merged, so that mirroring changes no class."""

CELEBAMASK19 = ParsingScheme(
    "celebamask19",
    (
        *("background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow"),
        *("left_ear", "right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace"),
        *("neck", "cloth"),
    ),
)
"""CelebAMask-HQ (Lee et al. 2020), numbered as in its authors' g_mask.py. Many face parsers use other numbers."""

LANDMARK_SCHEMES = {scheme.name: scheme for scheme in (IBUG68, FIVE, MESH468)}
PARSING_SCHEMES = {scheme.name: scheme for scheme in (FACES11, FACES9, CELEBAMASK19)}


def landmark_scheme(declared: object, count: int, where: str) -> LandmarkScheme:
    """Return the scheme declared by a file, or the known scheme with the given number of points.

    Args:
        declared: a name in LANDMARK_SCHEMES, a list of labels, or None.
        count: number of landmarks per picture.
        where: the file, for messages.

    Raises:
        FacehallError: an unknown name, a different count, or no declaration and no known scheme with that count.
    """
    known = ", ".join(f"{name} ({len(scheme)} points)" for name, scheme in LANDMARK_SCHEMES.items())
    if declared is None:
        for scheme in LANDMARK_SCHEMES.values():
            if len(scheme) == count:
                return scheme
        raise FacehallError(
            f"{where} has {count} landmarks per picture and declares no landmark_scheme. Known schemes: {known}. For "
            "another, set landmark_scheme to a list of names, left_X and right_X for those swapped by mirroring."
        )
    found = _declared(declared, LANDMARK_SCHEMES, LandmarkScheme, "landmark_scheme", where)
    if len(found) != count:
        raise FacehallError(
            f"{where} has {count} landmarks per picture, but its landmark_scheme {found.name!r} has {len(found)}: "
            f"declare the correct scheme. Known schemes: {known}."
        )
    return found


def parsing_scheme(declared: object, where: str) -> ParsingScheme:
    """Return the scheme declared by a file, by name or as a list of labels.

    Raises:
        FacehallError: no declaration, or an unknown scheme.
    """
    if declared is None:
        raise FacehallError(
            f"{where} declares no parsing_scheme, which names the classes and is needed to swap left and right when "
            f"mirroring: set {', '.join(PARSING_SCHEMES)} or a list of names."
        )
    return _declared(declared, PARSING_SCHEMES, ParsingScheme, "parsing_scheme", where)


def declaration(scheme: Scheme) -> str | list[str]:
    """Return how a file declares this scheme: by name if it is a known scheme, else as a list of labels."""
    known = (*LANDMARK_SCHEMES.values(), *PARSING_SCHEMES.values())
    return scheme.name if scheme in known else list(scheme.labels)


def _declared(declared: object, known: dict[str, S], kind: type[S], key: str, where: str) -> S:
    if isinstance(declared, str):
        if declared not in known:
            raise FacehallError(
                f"{where}: unknown {key} {declared!r}; known: {', '.join(known)}. For another, set a list of names."
            )
        return known[declared]
    if isinstance(declared, (list, tuple)) and all(isinstance(label, str) for label in declared):
        labels = tuple(declared)
        return next((scheme for scheme in known.values() if scheme.labels == labels), None) or kind(where, labels)
    raise FacehallError(f"{where}: {key} must be a name or a list of names, not {declared!r}.")
