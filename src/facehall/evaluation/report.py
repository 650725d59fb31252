"""What an evaluation holds, and its table as text, CSV and JSON beside comparison sheets."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from facehall.imaging import comparison_sheet, to_uint8, upscale_bicubic, write_picture
from facehall.inference import Predictor
from facehall.io.atomic import write_text
from facehall.metrics import Protocol, count_gmacs, count_parameters, milliseconds, peak_memory_mib

METHODS = ("bicubic", "model")
WIDTH = 80
"""Of the text, in characters: what every terminal shows."""

Measures = dict[str, float]

# Of each column: heading, and how its values are written. The CSV and JSON files hold them unrounded.
_COLUMNS = {
    "method": ("", "{}"),
    "psnr": ("PSNR", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "psnr_y": ("PSNR Y", "{:.2f}"),
    "ssim_y": ("SSIM Y", "{:.4f}"),
    "lpips": ("LPIPS", "{:.4f}"),
    "parameters": ("parameters", "{:,}"),
    "gmacs": ("GMACs", "{:.2f}"),
    "ms_per_image": ("ms", "{:.2f}"),
    "peak_mib": ("MiB", "{:.0f}"),
}

LARGEST_TIMED = 256
"""Side of the LR image, at most, of which costs are measured."""


@dataclass(frozen=True)
class Measured:
    """One image: its measures by method, and, if kept, its pictures LR, bicubic, model, HR (H, W, 3) uint8."""

    name: str
    measures: dict[str, Measures]
    pictures: list[np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        item: dict[str, Any],
        predictor: Predictor,
        protocol: Protocol,
        grey: bool = False,
        keep_pictures: bool = True,
    ) -> Measured:
        """Super-resolve and measure an item of an ImageDataset: lr (3, h, w), hr (3, s h, s w).

        Args:
            grey: HR was read from a single-channel file, so single-channel images are measured.
            keep_pictures: keep them for the comparison sheet.
        """
        lr, hr = (item[key].to(predictor.device) for key in ("lr", "hr"))
        images = {"bicubic": upscale_bicubic(lr, predictor.scale), "model": predictor.super_resolve(lr)}
        measures = {
            method: {name: float(value) for name, value in protocol.measure(sr[None], hr[None], grey).items()}
            for method, sr in images.items()
        }
        if not keep_pictures:
            return cls(item["name"], measures)
        shown = [image.mean(dim=0, keepdim=True) if grey else image for image in (lr, *images.values(), hr)]
        return cls(item["name"], measures, [to_uint8(image) for image in shown])


class Bicubic(nn.Module):
    """The floor, as a network so that it can be timed like one."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr: Tensor) -> Tensor:
        return upscale_bicubic(lr, self.scale)


@dataclass(frozen=True)
class Evaluation:
    """The measures of a set of images and what the model costs.

    Attributes:
        weights: the file, or the name, of what was measured.
        protocol: the definition of the numbers, in one line.
        images: one entry per image.
        costs: per method, for the stated input and device.
        fidelity: how the weights were mixed with those of their PSNR phase; None: not at all.
        failures: those of the images that came out worst, with their pictures, worst first.
    """

    weights: str | Path
    protocol: str
    images: list[Measured]
    costs: dict[str, Any]
    fidelity: float | None = None
    failures: Sequence[Measured] = ()

    def means(self, method: str) -> Measures:
        """The mean of each measure over the images."""
        names = self.images[0].measures[method]
        return {name: fmean(image.measures[method][name] for image in self.images) for name in names}

    def rows(self) -> list[dict[str, Any]]:
        """The table: bicubic, then the model."""
        return [{"method": method, **self.means(method), **self.costs[method]} for method in METHODS]

    def text(self) -> str:
        """The table for a terminal or a text file, with what its numbers mean."""
        count = len(self.images)
        costs = (
            f"GMACs and ms for an input of {self.costs['input']} pixels, on {self.costs['device']}; "
            "the two timed in turn, medians."
        )
        notes = [f"{count} image{'' if count == 1 else 's'}; {self.protocol}.", costs]
        wrapped = [line for note in notes for line in textwrap.wrap(note, WIDTH)]
        mixed = "" if self.fidelity is None else f", fidelity {self.fidelity}"
        return "\n".join([f"{self.weights}{mixed}", "", _table(self.rows()), "", *wrapped])


def worst(images: Sequence[Measured]) -> list[int]:
    """Indices of the images in the order of the model's LPIPS, highest first, or where there is none of its PSNR."""
    model = [image.measures["model"] for image in images]
    return sorted(range(len(images)), key=lambda i: -model[i]["lpips"] if "lpips" in model[i] else model[i]["psnr"])


def _table(rows: list[dict[str, Any]]) -> str:
    # Without a box: plain ASCII goes through every pipe.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(_COLUMNS[name][0], justify="left" if name == "method" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_COLUMNS[name][1].format(value) for name, value in row.items()))
    buffer = io.StringIO()
    Console(file=buffer, width=2 * WIDTH, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def measure_costs(predictor: Predictor, lr: Tensor, repeats: int) -> dict[str, Any]:
    """Parameters, multiply-accumulates, time and (on CUDA) peak memory of one forward pass.

    Args:
        lr: an image (3, h, w); what of it goes beyond one tile is cut off, as nothing larger is ever computed at once.
        repeats: timed passes, of which the median counts.
    """
    example = lr[None, :, :LARGEST_TIMED, :LARGEST_TIMED].to(predictor.device)
    networks: dict[str, nn.Module] = {"bicubic": Bicubic(predictor.scale), "model": predictor.generator}
    times = milliseconds(networks, example, repeats)
    costs: dict[str, Any] = {"input": f"{example.shape[-1]}x{example.shape[-2]}", "device": _name(predictor.device)}
    for method, network in networks.items():
        costs[method] = {
            "parameters": count_parameters(network),
            "gmacs": count_gmacs(network, example),
            "ms_per_image": times[method],
        }
        if example.is_cuda:
            costs[method]["peak_mib"] = peak_memory_mib(network, example)
    return costs


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"the CPU with {threads} thread{'' if threads == 1 else 's'}"


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write table.txt, table.csv, table.json, images.csv and, where pictures were kept, comparison.png and worst.png.

    In table.json a figure that is not finite (the PSNR of identical images) is null, as JSON has no infinity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = evaluation.rows()
    per_image = [
        {"name": image.name, "method": method, **image.measures[method]}
        for image in evaluation.images
        for method in METHODS
    ]
    document = {
        "weights": str(evaluation.weights),
        "fidelity": evaluation.fidelity,
        "protocol": evaluation.protocol,
        "images": len(evaluation.images),
        "input": evaluation.costs["input"],
        "device": evaluation.costs["device"],
        "table": [{key: _finite(value) for key, value in row.items()} for row in rows],
    }
    write_text(folder / "table.txt", evaluation.text() + "\n")
    write_text(folder / "table.csv", _csv(rows))
    write_text(folder / "images.csv", _csv(per_image))
    write_text(folder / "table.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
    _write_sheet(folder / "comparison.png", evaluation.images)
    _write_sheet(folder / "worst.png", evaluation.failures)


def _write_sheet(path: Path, images: Sequence[Measured]) -> None:
    panels, captions = [], []
    for image in images:
        if image.pictures is not None:
            panels.append(image.pictures)
            captions.append([image.name, *(_caption(image.measures[method]) for method in METHODS), ""])
    path.unlink(missing_ok=True)  # an older evaluation's
    if panels:
        write_picture(path, comparison_sheet(panels, ["LR", "bicubic", "model", "HR"], captions))


def _caption(measures: Measures) -> str:
    lpips = f", LPIPS {measures['lpips']:.3f}" if "lpips" in measures else ""
    return f"{measures['psnr']:.2f} dB{lpips}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
