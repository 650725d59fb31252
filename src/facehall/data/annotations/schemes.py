"""Labelling schemes: what landmark i and parsing class k are called, and what a mirror makes of them.

Left and right are the person's own, as in iBUG's and dlib's numbering: the left eye of a frontal face lies on the
right of the picture. A mirrored picture shows a left eye where the right one was, so labels are swapped with it. The
names alone say which: ``left_X`` and ``right_X`` are partners, every other name is its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from facehall.errors import FacehallError


@dataclass(frozen=True)
class Scheme:
    """Named labels in fixed order.

    Args:
        name: of the scheme.
        labels: name of each landmark or class, by its number; unique.

    Raises:
        FacehallError: a name twice, or a ``left_X`` without its ``right_X``.
    """

    name: str
    labels: tuple[str, ...]
    kind: ClassVar[str] = "scheme"

    def __post_init__(self) -> None:
        if not self.labels:
            raise FacehallError(f"The {self.kind} {self.name!r} has no labels: name at least one.")
        double = [label for label, count in Counter(self.labels).items() if count > 1]
        if double:
            raise FacehallError(f"The {self.kind} {self.name!r} has the label {double[0]!r} twice: names are unique.")
        for label in self.labels:
            if _partner(label) not in self.labels:
                raise FacehallError(
                    f"The {self.kind} {self.name!r} has {label!r} but no {_partner(label)!r}: a mirrored picture needs "
                    "both. Add it, or choose names that do not begin with left_ or right_."
                )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def mirror(self) -> tuple[int, ...]:
        """The permutation of a mirror, its own inverse: label i of the mirrored picture is label mirror[i] before."""
        return tuple(self.labels.index(_partner(label)) for label in self.labels)


S = TypeVar("S", bound=Scheme)


class LandmarkScheme(Scheme):
    """Names of landmarks; landmark i is `labels[i]`."""

    kind = "landmark scheme"


class ParsingScheme(Scheme):
    """Names of the classes of a parsing map; pixels of value k belong to `labels[k]`."""

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
        *_numbered("nose_bridge", range(1, 5)),  # 27-30, downwards; the last is the tip
        *_numbered("right_nostril", (1, 2)),
        "nose_base",
        *_numbered("left_nostril", (2, 1)),
        *("right_eye_outer", "right_eye_top_outer", "right_eye_top_inner"),  # 36-41
        *("right_eye_inner", "right_eye_bottom_inner", "right_eye_bottom_outer"),
        *("left_eye_inner", "left_eye_top_inner", "left_eye_top_outer"),  # 42-47
        *("left_eye_outer", "left_eye_bottom_outer", "left_eye_bottom_inner"),
        "right_mouth_corner",  # 48-59, outer contour of the lips, along the top first
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
"""The 68 points of 300-W (Sagonas et al. 2013), as dlib's and FAN's predictors number them from 0."""

FIVE = LandmarkScheme("five", ("right_eye", "left_eye", "nose", "right_mouth_corner", "left_mouth_corner"))
"""Eye centres, tip of the nose and corners of the mouth, as MTCNN, RetinaFace and CenterFace order them."""

FACES11 = ParsingScheme(
    "faces11",
    (
        *("background", "skin", "right_brow", "left_brow", "right_eye", "left_eye"),
        *("nose", "lips", "mouth", "hair", "neck"),
    ),
)
"""Hair with ears and hats, neck with clothes; `mouth` is the inside of an open one."""

FACES9 = ParsingScheme("faces9", ("background", "skin", "brows", "eyes", "nose", "lips", "mouth", "hair", "neck"))
"""FACES11 with the two brows and the two eyes merged: a mirror leaves every class alone."""

CELEBAMASK19 = ParsingScheme(
    "celebamask19",
    (
        *("background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow"),
        *("left_ear", "right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace"),
        *("neck", "cloth"),
    ),
)
"""CelebAMask-HQ (Lee et al. 2020), numbered as its authors' g_mask.py does. Many face parsers number otherwise."""

LANDMARK_SCHEMES = {scheme.name: scheme for scheme in (IBUG68, FIVE)}
PARSING_SCHEMES = {scheme.name: scheme for scheme in (FACES11, FACES9, CELEBAMASK19)}


def landmark_scheme(declared: object, count: int, where: str) -> LandmarkScheme:
    """The scheme that a file declares, by name or as a list of labels; where it declares none, the one of that count.

    Args:
        declared: None, a name of LANDMARK_SCHEMES, or a list of labels.
        count: how many landmarks a picture has.
        where: the file, for messages.

    Raises:
        FacehallError: an unknown name, another count, or no declaration and no known scheme of that many points.
    """
    known = ", ".join(f"{name} ({len(scheme)} points)" for name, scheme in LANDMARK_SCHEMES.items())
    if declared is None:
        for scheme in LANDMARK_SCHEMES.values():
            if len(scheme) == count:
                return scheme
        raise FacehallError(
            f"{where} has {count} landmarks a picture and declares no landmark_scheme. Known ones are {known}; for "
            "others give landmark_scheme as a list of names, left_X and right_X where a mirror swaps."
        )
    found = _declared(declared, LANDMARK_SCHEMES, LandmarkScheme, "landmark_scheme", where)
    if len(found) != count:
        raise FacehallError(
            f"{where} has {count} landmarks a picture, but its landmark_scheme {found.name!r} has {len(found)}: "
            f"declare the right one. Known are {known}."
        )
    return found


def parsing_scheme(declared: object, where: str) -> ParsingScheme:
    """The scheme that a file declares, by name or as a list of labels.

    Raises:
        FacehallError: it declares none, or an unknown one.
    """
    if declared is None:
        raise FacehallError(
            f"{where} declares no parsing_scheme, so the classes of the parsing maps have no names and a mirror could "
            f"not swap left and right: add one of {', '.join(PARSING_SCHEMES)}, or a list of names."
        )
    return _declared(declared, PARSING_SCHEMES, ParsingScheme, "parsing_scheme", where)


def declaration(scheme: Scheme) -> str | list[str]:
    """What a file declares this scheme with: its name where it is a known one, else its labels."""
    known = (*LANDMARK_SCHEMES.values(), *PARSING_SCHEMES.values())
    return scheme.name if scheme in known else list(scheme.labels)


def _declared(declared: object, known: dict[str, S], kind: type[S], key: str, where: str) -> S:
    if isinstance(declared, str):
        if declared not in known:
            raise FacehallError(
                f"{where}: unknown {key} {declared!r}; known are {', '.join(known)}. Give a list of names for another."
            )
        return known[declared]
    if isinstance(declared, (list, tuple)) and all(isinstance(label, str) for label in declared):
        labels = tuple(declared)
        return next((scheme for scheme in known.values() if scheme.labels == labels), None) or kind(where, labels)
    raise FacehallError(f"{where}: {key} must be a name or a list of names, not {declared!r}.")
