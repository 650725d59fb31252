"""curves.png: PSNR, SSIM and LPIPS over the epochs, with bicubic as the line to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facehall.io.atomic import replacing

PANELS = (("psnr", "PSNR in dB (RGB)", "higher is better"), ("ssim", "SSIM (RGB)", "higher is better"))
LPIPS_PANEL = ("lpips", "LPIPS", "lower is better")


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the history of a run, one panel a measure, the GAN phase shaded; atomic.

    Args:
        rows: as in metrics.csv, with val/psnr, val/ssim, and val/lpips where it was measured.
        path: a .png.
    """
    rows = [row for row in rows if "val/psnr" in row]
    if not rows:
        return
    panels = [*PANELS, *([LPIPS_PANEL] if any("val/lpips" in row for row in rows) else [])]
    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, label, better) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        shown = [row for row in rows if f"val/{name}" in row]
        epochs = [row["epoch"] for row in shown]
        gan = [row["epoch"] for row in shown if row["phase"] == "gan"]
        if gan:
            axes.axvspan(gan[0] - 0.5, epochs[-1] + 0.5, color="#f3e3d3", lw=0, label="GAN phase")
        axes.plot(
            epochs,
            [row[f"val/{name}"] for row in shown],
            color="#1f4e79",
            marker=".",
            lw=1.6,
            label="facehall",
        )
        bicubic = [row[f"val/bicubic_{name}"] for row in shown]
        axes.plot(epochs, bicubic, color="#8c8c8c", ls="--", lw=1.2, label="bicubic")
        axes.set(xlabel="epoch", title=f"{label}, {better}")
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
