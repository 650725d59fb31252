"""Sheets of crops: the same detail of a picture by every system."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from facehall.evaluation.results import ImageResult, Measures
from facehall.imaging import comparison_sheet

SIDE = 96
"""Side of a crop in HR pixels."""
PER_ROW = 6
"""Panels in a row of the sheet."""


def crops_sheet(
    images: Sequence[ImageResult], titles: Sequence[str], caption: Callable[[Measures], str]
) -> np.ndarray | None:
    """Return the most detailed crop of each picture by LR, each system and HR, in rows of `PER_ROW` panels.

    Args:
        images: those without pictures are skipped.
        titles: of their pictures, in order: LR, the systems, HR.
        caption: formats an image's measures by one system.

    Returns:
        (H, W, 3) uint8; None if no image has pictures.
    """
    panels: list[np.ndarray] = []
    captions: list[str] = []
    for image in images:
        if image.pictures is None:
            continue
        hr = image.pictures[-1]
        top, left, side = busiest_crop(hr, SIDE)
        for title, picture in zip(titles, image.pictures, strict=True):
            share = picture.shape[0] / hr.shape[0]
            rows, columns = (slice(round(at * share), round((at + side) * share)) for at in (top, left))
            panels.append(picture[rows, columns])
            values = image.measures.get(title)
            captions.append(f"{image.name}: {title}" if values is None else f"{title}: {caption(values)}")
        blank = -len(panels) % PER_ROW  # the next picture starts a new row
        panels += [np.full((side, side, 3), 255, np.uint8)] * blank
        captions += [""] * blank
    if not panels:
        return None
    starts = range(0, len(panels), PER_ROW)
    rows_of_panels = [panels[start : start + PER_ROW] for start in starts]
    return comparison_sheet(rows_of_panels, [""] * PER_ROW, [captions[start : start + PER_ROW] for start in starts])


def busiest_crop(picture: np.ndarray, side: int) -> tuple[int, int, int]:
    """Return (top, left, side) of the square with the strongest edges, on a grid of eighths of its side.

    Args:
        picture: (H, W, 3) uint8.
        side: desired side in pixels; reduced to that of a smaller picture.
    """
    height, width = picture.shape[:2]
    side = min(side, height, width)
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float64)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))
    sums = cv2.integral(edges)
    step = max(1, side // 8)
    places = [(y, x) for y in range(0, height - side + 1, step) for x in range(0, width - side + 1, step)]
    top, left = max(
        places,
        key=lambda at: (
            sums[at[0] + side, at[1] + side]
            - sums[at[0], at[1] + side]
            - sums[at[0] + side, at[1]]
            + sums[at[0], at[1]]
        ),
    )
    return top, left, side
