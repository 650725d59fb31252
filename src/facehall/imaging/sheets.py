"""Contact sheets: one row per image, one column per method (LR, bicubic, SR, HR), with titles and captions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 8
_TEXT_COLOUR = (20, 20, 20)


def comparison_sheet(
    rows: list[list[np.ndarray]],
    titles: list[str],
    captions: list[list[str]] | None = None,
    cell: int = 256,
) -> np.ndarray:
    """Lay out panels on white: rows of (H, W, 3) uint8 arrays -> one (H, W, 3) uint8 array.

    `titles` are drawn above the columns, `captions` (one per panel; "" for none) below the panels. Every panel is
    resized to a height of `cell` pixels, keeping its aspect ratio: enlarged by nearest neighbour, which leaves LR
    pixels visible, and reduced by area averaging. Columns are as wide as their text requires.

    Raises:
        ValueError: if the numbers of panels, titles and captions differ.
    """
    _check(rows, titles, captions)
    font = _font(max(11, cell // 17))
    line = int(np.ceil(font.getbbox("Ag")[3])) + 4
    panels = [[_resize_to_height(panel, cell) for panel in row] for row in rows]
    texts = [titles, *(captions or [])]
    widths = [
        max(
            *(row[column].shape[1] for row in panels),
            *(int(np.ceil(font.getlength(row[column]))) for row in texts),
        )
        for column in range(len(titles))
    ]
    row_height = cell + (line if captions else 0) + _GAP
    size = (sum(widths) + _GAP * (len(widths) + 1), _GAP + line + row_height * len(rows))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    left = _GAP
    for column, width in enumerate(widths):
        middle, top = left + width / 2, _GAP // 2 + line
        draw.text((middle, _GAP // 2), titles[column], _TEXT_COLOUR, font, anchor="ma")
        for row, images in enumerate(panels):
            panel = Image.fromarray(images[column])
            sheet.paste(panel, (left + (width - panel.width) // 2, top))
            if captions:
                draw.text((middle, top + cell + 2), captions[row][column], _TEXT_COLOUR, font, anchor="ma")
            top += row_height
        left += width + _GAP
    return np.array(sheet)


def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # for every command that draws no sheet the import would be a waste

    # Pillow's built-in font has no multiplication sign or arrow, and file names may contain any letter.
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def _resize_to_height(panel: np.ndarray, height: int) -> np.ndarray:
    old_height, old_width = panel.shape[:2]
    width = max(1, round(old_width * height / old_height))
    method = cv2.INTER_AREA if old_height > height else cv2.INTER_NEAREST
    return cv2.resize(np.ascontiguousarray(panel), (width, height), interpolation=method)


def _check(rows: list[list[np.ndarray]], titles: list[str], captions: list[list[str]] | None) -> None:
    if not rows or not titles:
        raise ValueError("a sheet needs at least one row and one column")
    for kind, table in (("panels", rows), ("captions", captions or [])):
        lengths = [len(row) for row in table]
        if any(length != len(titles) for length in lengths):
            raise ValueError(f"{len(titles)} titles, but rows of {lengths} {kind}")
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f"{len(rows)} rows of panels, but {len(captions)} of captions")
    for panel in (panel for row in rows for panel in row):
        if panel.dtype != np.uint8 or panel.ndim != 3 or panel.shape[2] != 3:
            raise ValueError(f"panels are (H, W, 3) uint8, not {panel.shape} {panel.dtype}")
