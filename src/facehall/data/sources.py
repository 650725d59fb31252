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
        name: unique in its source: the path below the root without suffix, with forward slashes.
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
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction > 1:
        raise FacehallError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} must not be negative and must "
            "not exceed 1 together."
        )
    shuffled = sorted(files, key=lambda file: file.name)
    random.Random(seed).shuffle(shuffled)
    counts = [max(1, round(f * len(files))) if f else 0 for f in (val_fraction, test_fraction)]
    if sum(counts) > len(files):
        raise FacehallError(
            f"{len(files)} image(s) are too few to take val and test images from; set data.val_fraction or "
            "data.test_fraction to 0, or make the folders train, val and test yourself."
        )
    val, test = counts[0], counts[0] + counts[1]
    parts: dict[Split, list[ImageFile]] = {
        "val": shuffled[:val],
        "test": shuffled[val:test],
        "train": shuffled[test:],
    }
    return {which: sorted(part, key=lambda file: file.name) for which, part in parts.items()}


def evenly_spaced(files: list[ImageFile], limit: int | None) -> list[ImageFile]:
    """At most `limit` files, spread evenly over the list; None keeps them all."""
    if limit is None or len(files) <= limit:
        return files
    return [files[i * len(files) // limit] for i in range(limit)]
