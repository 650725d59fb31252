"""Labels of points in scatter plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox


def place_labels(figure: Figure, axes: Axes, labels: Sequence[tuple[tuple[float, float], str, str]]) -> None:
    """Put each label at the first position around its point that is inside the axes and overlaps no other label.

    Where there is none, it gets the last position.

    Args:
        figure: drawn once to know the sizes.
        axes: those with the points.
        labels: (point in data coordinates, text, colour).
    """
    figure.draw_without_rendering()
    taken: list[Bbox] = [legend.get_window_extent()] if (legend := axes.get_legend()) else []
    room = axes.get_window_extent()
    steps = (6, 18, 30, 42, 54, 66)
    places = [(x, y * sign, side) for y in steps for sign in (1, -1) for x, side in ((7, "left"), (-7, "right"))]
    for point, text, ink in labels:
        for place in places:
            note = axes.annotate(
                text,
                point,
                place[:2],
                textcoords="offset points",
                ha=place[2],
                va="center",
                fontsize=7.5,
                color=ink,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": ink, "alpha": 0.5, "shrinkB": 4},
            )
            box = note.get_window_extent()
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
            if (inside and not any(box.overlaps(other) for other in taken)) or place is places[-1]:
                taken.append(box)
                break
            note.remove()
    axes.set_autoscale_on(False)
