"""What an evaluation holds, and its table as text, CSV and JSON beside a comparison sheet."""

from __future__ import annotations

import csv
import io
import json
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
from facehall.inference import Predictor, super_resolve
from facehall.metrics import Protocol, count_gmacs, count_parameters, milliseconds

METHODS = ("bicubic", "model")
Measures = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """One image: its measures by method, and its pictures LR, bicubic, model, HR (H, W, 3) uint8."""

    name: str
    measures: dict[str, Measures]
    pictures: list[np.ndarray]

    @classmethod
    def of(cls, item: dict[str, Any], predictor: Predictor, protocol: Protocol) -> Measured:
        """Super-resolve and measure an item of an ImageDataset: lr (3, h, w), hr (3, s h, s w)."""
        lr, hr = (item[key].to(predictor.device) for key in ("lr", "hr"))
        images = {
            "bicubic": upscale_bicubic(lr, predictor.scale),
            "model": super_resolve(predictor.generator, lr, predictor.tile),
        }
        measures = {
            method: {name: float(value) for name, value in protocol(sr[None], hr[None]).items()}
            for method, sr in images.items()
        }
        pictures = [to_uint8(image.cpu()) for image in (lr, *images.values(), hr)]
        return cls(item["name"], measures, pictures)


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
        weights: the file that was measured.
        protocol: the definition of the numbers, in one line.
        images: one entry per image.
        costs: per method, for the stated input and device.
    """

    weights: Path
    protocol: str
    images: list[Measured]
    costs: dict[str, Any]

    def means(self, method: str) -> Measures:
        """The mean of each measure over the images."""
        names = self.images[0].measures[method]
        return {name: fmean(image.measures[method][name] for image in self.images) for name in names}

    def rows(self) -> list[dict[str, Any]]:
        """The table: bicubic, then the model."""
        return [{"method": method, **self.means(method), **self.costs[method]} for method in METHODS]

    def text(self) -> str:
        """The table for a terminal or a text file."""
        rows = self.rows()
        count = len(self.images)
        table = Table(title=f"{self.weights}\n{count} image{'s' if count > 1 else ''}; {self.protocol}", title_style="")
        for column in rows[0]:
            table.add_column(column.replace("_", " "), justify="left" if column == "method" else "right")
        for row in rows:
            table.add_row(*(_cell(name, value) for name, value in row.items()))
        buffer = io.StringIO()
        Console(file=buffer, width=132).print(table)
        return f"{buffer.getvalue()}Costs: input {self.costs['input']}, on {self.costs['device']}; the two timed in turn, medians."


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name == "parameters":
        return f"{value:,}"
    return f"{value:.2f}" if name.startswith(("psnr", "gmacs", "ms")) else f"{value:.4f}"


def measure_costs(predictor: Predictor, example: Tensor, repeats: int) -> dict[str, Any]:
    """Parameters, multiply-accumulates and time of one forward pass on `example` (1, 3, h, w)."""
    networks: dict[str, nn.Module] = {"bicubic": Bicubic(predictor.scale), "model": predictor.generator}
    times = milliseconds(networks, example, repeats)
    device = example.device
    costs: dict[str, Any] = {
        method: {
            "parameters": count_parameters(network),
            "gmacs": count_gmacs(network, example),
            "ms_per_image": times[method],
        }
        for method, network in networks.items()
    }
    costs["input"] = f"{example.shape[-1]}x{example.shape[-2]}"
    costs["device"] = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"the CPU, {torch.get_num_threads()} threads"
    )
    return costs


def write_report(evaluation: Evaluation, folder: Path, sheet: int) -> None:
    """Write table.txt, table.csv, table.json, images.csv and comparison.png.

    Args:
        sheet: pictures on the comparison sheet, from the first on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text(evaluation.text() + "\n")
    _write_csv(folder / "table.csv", evaluation.rows())
    per_image = [
        {"name": image.name, "method": method, **image.measures[method]}
        for image in evaluation.images
        for method in METHODS
    ]
    _write_csv(folder / "images.csv", per_image)
    document = {
        "weights": str(evaluation.weights),
        "protocol": evaluation.protocol,
        "images": len(evaluation.images),
        "input": evaluation.costs["input"],
        "device": evaluation.costs["device"],
        "table": evaluation.rows(),
    }
    (folder / "table.json").write_text(json.dumps(document, indent=2) + "\n")
    shown = evaluation.images[:sheet]
    captions = [
        [image.name, *(f"{image.measures[m]['psnr']:.2f} dB" for m in METHODS), ""] for image in shown
    ]
    picture = comparison_sheet([image.pictures for image in shown], ["LR", "bicubic", "model", "HR"], captions)
    write_picture(folder / "comparison.png", picture)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
