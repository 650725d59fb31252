"""Sources: where pictures come from, split into train, val and test. Nothing of patches, nothing of training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

from facehall.data.annotations import Location
from facehall.errors import FacehallError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ImageFile:
    """One picture.

    Attributes:
        name: unique in its source: the path below the root with forward slashes, and without suffix where that is
            enough.
        hr: the high-resolved file.
        lr: its low-resolved sibling; None where a degradation makes it.
        box: (left, top, right, bottom) to cut out of the HR file first; None keeps it whole.
        size: shorter side in pixels to which HR is then reduced by bicubic; None, and a larger one, keep it.
        annotations: where its landmarks, parsing map or identity are; None where nobody asked for them.
    """

    name: str
    hr: Path
    lr: Path | None = None
    box: Box | None = None
    size: int | None = None
    annotations: Location | None = None


class Source(Protocol):
    """Knows its files and how they are split."""

    def split(self, which: Split) -> list[ImageFile]:
        """The files of one split, in fixed order.

        Raises:
            FacehallError: the split is empty, or the files are not there.
        """
        ...


@runtime_checkable
class Fetchable(Protocol):
    """A source whose pictures can be had from the network."""

    def fetch(self) -> str:
        """Get what is missing of all splits.

        Returns:
            what is there now, for people.

        Raises:
            FacehallError: it cannot be had, or there is no room for it.
        """
        ...


@runtime_checkable
class Remarking(Protocol):
    """A source that has remarks for the report of the data check."""

    def remarks(self) -> list[str]:
        """What a user should know and need not change, a sentence each; complete once the splits have been listed."""
        ...


def check_split(which: str) -> None:
    if which not in SPLITS:
        raise FacehallError(f"split={which}: there are train, val and test.")


def rank(name: str, seed: int) -> bytes:
    """A hash that orders names as if shuffled; a name's place among others depends on nothing but the two names."""
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogatepass")).digest()


def random_split(
    files: Sequence[ImageFile], val_fraction: float, test_fraction: float, seed: int
) -> dict[Split, list[ImageFile]]:
    """Deal files out by the seeded `rank` of their names: lowest val, highest test, train between them.

    One file more or less moves one other file at most across each of the two boundaries, and none between val and test
    as long as there is train. A fraction above 0 gets one file at least.

    Raises:
        FacehallError: the fractions are impossible, or there are too few files.
    """
    if not (val_fraction >= 0 and test_fraction >= 0 and val_fraction + test_fraction <= 1):  # NaN is neither
        raise FacehallError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} must not be negative and must "
            "not exceed 1 together."
        )
    count = len(files)
    val = max(1, round(val_fraction * count)) if val_fraction else 0
    # Two halves of three pictures must not be rounded up to two each.
    test = min(max(1, round(test_fraction * count)), count - val) if test_fraction else 0
    if val > count or (test_fraction and not test):
        raise FacehallError(
            f"{count} image(s) are too few to take val and test images from; set data.val_fraction or "
            "data.test_fraction to 0, or make the folders train, val and test yourself."
        )
    ranked = sorted(files, key=lambda file: rank(file.name, seed))
    parts: dict[Split, list[ImageFile]] = {
        "train": ranked[val : count - test],
        "val": ranked[:val],
        "test": ranked[count - test :],
    }
    return {which: sorted(part, key=lambda file: file.name) for which, part in parts.items()}


def check_limits(limits: dict[Split, int | None]) -> None:
    """Raises FacehallError for a limit that would leave nothing of a split."""
    for which, limit in limits.items():
        if limit is not None and limit < 1:
            raise FacehallError(
                f"data.{which}_limit={limit}: give a number of pictures, at least 1, or null for all of them."
            )


def limited(files: list[ImageFile], limit: int | None, seed: int = 0) -> list[ImageFile]:
    """At most `limit` files, those of lowest `rank`, in the order they came in; None keeps them all.

    So one file more or less changes one of the chosen at most.
    """
    if limit is None or len(files) <= limit:
        return files
    chosen = set(sorted((file.name for file in files), key=lambda name: rank(name, seed))[:limit])
    return [file for file in files if file.name in chosen]
