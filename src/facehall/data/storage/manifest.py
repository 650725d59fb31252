"""A folder of stored patches: pairs of identical names, and a manifest that says where each came from."""

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
        name: of the pair of files, below SPLIT/HR and SPLIT/LR and without the suffix.
        split: train, val or test.
        source: the picture that it was cut out of.
        top, left, size: in LR pixels of that picture (of its box, where the source cuts one out).
        scale: s; the HR patch has s * size pixels a side.
        flatness: of the LR patch.
        rejections: how many patches were rejected before it.
        threshold: of the flatness, when it was mined.
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
        """Where the HR or LR half lies below the root of the store."""
        return root / self.split / kind / f"{self.name}.png"


def write_manifest(root: Path, patches: Iterable[StoredPatch]) -> None:
    """Write ROOT/manifest.csv, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(StoredPatch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(patch) for patch in patches)
    write_text(root / MANIFEST, text.getvalue())


def read_manifest(root: Path) -> list[StoredPatch]:
    """The patches of a store, in the order of its manifest.

    Raises:
        FacehallError: there is no manifest, or it is not one.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise FacehallError(
            f"{path} is missing: a folder of stored patches is made by `python -m facehall.mine output={root} …`, "
            "which writes the manifest last; the same command goes on where it was interrupted."
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
