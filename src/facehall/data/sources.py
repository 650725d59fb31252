"""Sources: where pictures come from, split into train, val and test. Nothing of patches, nothing of training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

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
    """

    name: str
    hr: Path
    lr: Path | None = None
    box: Box | None = None


class Source(Protocol):
    """Knows its files and how they are split."""

    def split(self, which: Split) -> list[ImageFile]:
        """The files of one split, in fixed order.

        Raises:
            FacehallError: the split is empty, or the files are not there.
        """
        ...


def check_split(which: str) -> None:
    if which not in SPLITS:
        raise FacehallError(f"split={which}: there are train, val and test.")


def random_split(
    files: Sequence[ImageFile], val_fraction: float, test_fraction: float, seed: int
) -> dict[Split, list[ImageFile]]:
    """Deal files out by a seeded shuffle of their sorted names; a fraction above 0 gets one image at least.

    Raises:
        FacehallError: the fractions are impossible, or there are too few files.
    """
    if not (val_fraction >= 0 and test_fraction >= 0 and val_fraction + test_fraction <= 1):  # NaN is neither
        raise FacehallError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} must not be negative and must "
            "not exceed 1 together."
        )
    shuffled = sorted(files, key=lambda file: file.name)
    random.Random(seed).shuffle(shuffled)
    val = max(1, round(val_fraction * len(files))) if val_fraction else 0
    # Two halves of three pictures must not be rounded up to two each.
    test = val + (min(max(1, round(test_fraction * len(files))), len(files) - val) if test_fraction else 0)
    if val > len(files) or (test_fraction and test == val):
        raise FacehallError(
            f"{len(files)} image(s) are too few to take val and test images from; set data.val_fraction or "
            "data.test_fraction to 0, or make the folders train, val and test yourself."
        )
    parts: dict[Split, list[ImageFile]] = {
        "val": shuffled[:val],
        "test": shuffled[val:test],
        "train": shuffled[test:],
    }
    return {which: sorted(part, key=lambda file: file.name) for which, part in parts.items()}


def check_limits(limits: dict[Split, int | None]) -> None:
    """Raises FacehallError for a limit that would leave nothing of a split."""
    for which, limit in limits.items():
        if limit is not None and limit < 1:
            raise FacehallError(
                f"data.{which}_limit={limit}: give a number of pictures, at least 1, or null for all of them."
            )


def evenly_spaced(files: list[ImageFile], limit: int | None) -> list[ImageFile]:
    """At most `limit` files, spread evenly over the list; None keeps them all."""
    if limit is None or len(files) <= limit:
        return files
    return [files[i * len(files) // limit] for i in range(limit)]
