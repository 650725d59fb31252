"""Sources: list picture files, split into train, val and test; independent of patches and training."""

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
        name: unique in its source: the path below the root with forward slashes, without suffix if still unique.
        hr: the high-resolution file.
        lr: the low-resolution file; None if a degradation makes LR.
        box: (left, top, right, bottom), crop applied first to HR; None keeps the whole picture.
        size: shorter side in pixels to which HR is then downscaled with bicubic; None, or a larger value, keeps it.
        annotations: location of its landmarks, parsing map or identity; None if not configured.
    """

    name: str
    hr: Path
    lr: Path | None = None
    box: Box | None = None
    size: int | None = None
    annotations: Location | None = None


class Source(Protocol):
    """A set of picture files with train, val and test splits."""

    def split(self, which: Split) -> list[ImageFile]:
        """Return the files of one split, in a fixed order.

        Raises:
            FacehallError: the split is empty, or files are missing.
        """
        ...


@runtime_checkable
class Fetchable(Protocol):
    """A source whose pictures can be downloaded."""

    def fetch(self) -> str:
        """Download whatever is missing from any split.

        Returns:
            a human-readable summary of what is present.

        Raises:
            FacehallError: a download fails, or there is not enough disk space.
        """
        ...


@runtime_checkable
class HasRemarks(Protocol):
    """A source with remarks for the report of the data check."""

    def remarks(self) -> list[str]:
        """Return non-fatal remarks, one sentence each; complete only after the splits have been listed."""
        ...


def check_split(which: str) -> None:
    """Raise a FacehallError for an unknown split."""
    if which not in SPLITS:
        raise FacehallError(f"split={which}: unknown split; expected train, val or test.")


def shuffle_key(name: str, seed: int) -> bytes:
    """Hash a name for a shuffled order in which the relative order of two names depends on those two only."""
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogatepass")).digest()


def random_split(
    files: Sequence[ImageFile], val_fraction: float, test_fraction: float, seed: int
) -> dict[Split, list[ImageFile]]:
    """Split files by the `shuffle_key` of their names: lowest to val, highest to test, the rest to train.

    Adding or removing a file moves at most one other file across each of the two boundaries, and none between val and
    test unless train is empty. A fraction above 0 gets at least one file.

    Raises:
        FacehallError: the fractions are invalid, or there are too few files.
    """
    if not (val_fraction >= 0 and test_fraction >= 0 and val_fraction + test_fraction <= 1):  # also rejects NaN
        raise FacehallError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} must not be negative and must "
            "sum to at most 1."
        )
    count = len(files)
    val = max(1, round(val_fraction * count)) if val_fraction else 0
    # Two fractions of 0.5 must not round up to two of three pictures each.
    test = min(max(1, round(test_fraction * count)), count - val) if test_fraction else 0
    if val > count or (test_fraction and not test):
        raise FacehallError(
            f"{count} image(s) are too few for val and test splits; set data.val_fraction or data.test_fraction to 0, "
            "or create folders train, val and test."
        )
    ranked = sorted(files, key=lambda file: shuffle_key(file.name, seed))
    parts: dict[Split, list[ImageFile]] = {
        "train": ranked[val : count - test],
        "val": ranked[:val],
        "test": ranked[count - test :],
    }
    return {which: sorted(part, key=lambda file: file.name) for which, part in parts.items()}


def check_limits(limits: dict[Split, int | None]) -> None:
    """Raise a FacehallError for a limit below 1."""
    for which, limit in limits.items():
        if limit is not None and limit < 1:
            raise FacehallError(
                f"data.{which}_limit={limit}: set a number of pictures, at least 1, or null for all of them."
            )


def limit_files(files: list[ImageFile], limit: int | None, seed: int = 0) -> list[ImageFile]:
    """Return the `limit` files with the lowest `shuffle_key`, in their original order; None keeps all.

    Adding or removing a file changes at most one of the chosen files.
    """
    if limit is None or len(files) <= limit:
        return files
    chosen = set(sorted((file.name for file in files), key=lambda name: shuffle_key(name, seed))[:limit])
    return [file for file in files if file.name in chosen]
