"""Manifest of a folder of stored patches: the file pairs and where each was cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from facehall.errors import FacehallError
from facehall.io.atomic import write_text

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class StoredPatch:
    """One row of the manifest.

    Attributes:
        name: name of the file pair below SPLIT/HR and SPLIT/LR, without suffix.
        split: train, val or test.
        source: the picture it was cut from.
        top, left, size: in LR pixels of that picture (of its box, if the source crops).
        scale: s; the side of the HR patch is s * size pixels.
        flatness: flatness of the LR patch.
        rejections: number of patches rejected before it.
        threshold: flatness threshold when it was mined.
    """

    name: str
    split: str
    source: str
    top: int
    left: int
    size: int
    scale: int
    flatness: float
    rejections: int
    threshold: float

    def file(self, root: Path, kind: str) -> Path:
        """Return the path of the HR or LR file below the root of the store."""
        return root / self.split / kind / f"{self.name}.png"


def write_manifest(root: Path, patches: Iterable[StoredPatch]) -> None:
    """Write ROOT/manifest.csv atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(StoredPatch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(patch) for patch in patches)
    write_text(root / MANIFEST, text.getvalue())


def read_manifest(root: Path) -> list[StoredPatch]:
    """Read the patches of a store, in the order of its manifest.

    Raises:
        FacehallError: the manifest is missing or malformed.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise FacehallError(
            f"{path} is missing: create the folder with `python -m facehall.mine output={root} …`, which writes the "
            "manifest last. If it was interrupted, run the same command again to resume."
        )
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return [_patch(row) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise FacehallError(
                f"{path} cannot be read as a manifest of stored patches ({error}): mine the patches again."
            ) from error


def _patch(row: dict[str, str]) -> StoredPatch:
    numbers = {key: int(row[key]) for key in ("top", "left", "size", "scale", "rejections")}
    texts = {key: row[key] for key in ("name", "split", "source")}
    floats = {key: float(row[key]) for key in ("flatness", "threshold")}
    return StoredPatch(**texts, **numbers, **floats)  # type: ignore[arg-type]
