"""Contact sheet of mined patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facehall.data.sources.base import SPLITS
from facehall.data.storage.manifest import StoredPatch
from facehall.imaging import comparison_sheet, read_rgb


def contact_sheet(root: Path, patches: list[StoredPatch], columns: int = 8, rows: int = 8) -> np.ndarray:
    """Draw HR patches of train (or the first split present) sorted by flatness, captioned with it; (H, W, 3) uint8.

    If there are more patches than cells, they are sampled evenly from that order.
    """
    which = next(split for split in SPLITS if any(patch.split == split for patch in patches))
    ranked = sorted((each for each in patches if each.split == which), key=lambda each: (each.flatness, each.name))
    count = min(len(ranked), columns * rows)
    columns = min(columns, count)
    chosen = [ranked[i * (len(ranked) - 1) // max(1, count - 1)] for i in range(count)]
    panels = [read_rgb(patch.file(root, "HR")) for patch in chosen]
    captions = [f"{patch.flatness:.3f}" for patch in chosen]
    empty = -count % columns  # unused cells in the last row
    panels += [np.full_like(panels[0], 255)] * empty
    captions += [""] * empty
    titles = ["flatness of LR", *[""] * (columns - 1)]
    starts = range(0, len(panels), columns)
    table = [panels[i : i + columns] for i in starts]
    return comparison_sheet(table, titles, [captions[i : i + columns] for i in starts], cell=128)
