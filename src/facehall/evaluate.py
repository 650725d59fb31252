"""Measure weights beside bicubic: ``python -m facehall.evaluate weights=FILE data=images data.root=DIR``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig, ListConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.config.sets import build_sets
from facehall.data import Degradation, ImageDataset, ImageFile, MemoryStore, Pairs, recipe_of
from facehall.data.patches.pairs import check_pairs
from facehall.errors import FacehallError
from facehall.evaluation.costs import measure_costs
from facehall.evaluation.measured import Measured, MeasuredSet, worst
from facehall.evaluation.report import Compared, Evaluation, write_report
from facehall.imaging import read_picture
from facehall.inference.picker import pick_weights
from facehall.inference.predictor import choose_device
from facehall.inference.upscalers import labels, open_upscalers
from facehall.io.atomic import write_text
from facehall.io.logs import say
from facehall.io.progress import progress_bar
from facehall.metrics import Protocol
from facehall.systems import Upscaler
from facehall.training.runs import display_path


def evaluate(cfg: DictConfig) -> Evaluation:
    """Measure systems on a split of one or several sets as conf/evaluate.yaml says.

    Returns:
        the table and the measures of every image.

    Raises:
        FacehallError: a mistake in the config, the data or a weights file.
    """
    for key, least in (("sheet", 0), ("repeats", 1)):
        if not isinstance(cfg[key], int) or cfg[key] < least:
            raise FacehallError(f"{key}={cfg[key]}: give a whole number from {least} on.")
    device = choose_device(cfg.device)
    options = {"device": str(device), "backend": cfg.backend, "tile": cfg.tile, "fidelity": cfg.fidelity}
    upscalers = open_upscalers(_systems(cfg), cfg.scale, **options)
    cfg.scale = upscalers[0].scale  # data and metrics refer to it
    degradation = build(cfg.degradation, "degradation")
    pairs = Pairs(cfg.scale, degradation, MemoryStore(0), cfg.seed)
    files = {name: source.split(cfg.split) for name, source in build_sets(cfg).items()}
    for of_set in files.values():
        check_pairs(of_set)
    datasets = {name: ImageDataset(of_set, pairs) for name, of_set in files.items()}
    protocol: Protocol = build(cfg.metrics, "metrics").to(device)
    first = next(iter(datasets.values()))[0]
    for dataset in datasets.values():
        protocol.require(dataset[0])
    output = Path(str(cfg.output))
    output.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is better known now than an hour later
    sets = []
    for name, dataset in datasets.items():
        title = f"the {cfg.split} images" + (f" of {name}" if len(datasets) > 1 else "")
        sets.append(_measure(name, title, dataset, upscalers, protocol, device, cfg.sheet))
    if degradation.random:
        _write_recipes(output, files, degradation, cfg.seed, cfg.scale)
    evaluation = Evaluation(
        systems=[Compared(each.name, each.origin, each.backend, each.trained_on) for each in upscalers],
        protocol=protocol,
        sets=sets,
        costs=measure_costs(upscalers, first["lr"], device, cfg.repeats),
        fidelity=cfg.fidelity,
    )
    write_report(evaluation, output)
    print(evaluation.text())
    say(f"Table, measures of every image and comparison sheets are in {display_path(output)}.")
    return evaluation


def _systems(cfg: DictConfig) -> Mapping[str, str]:
    """What is compared, by its label in the table; `model` where it is one weights file."""
    if cfg.systems:
        if cfg.weights:
            raise FacehallError("weights and systems are both given: list all of them in systems.")
        if isinstance(cfg.systems, DictConfig):
            return {str(label): str(what) for label, what in cfg.systems.items()}
        return labels(_listed(cfg.systems))
    given = _listed(cfg.weights) if cfg.weights else [str(pick_weights(Path(str(cfg.runs))))]
    return {"model": given[0]} if len(given) == 1 else labels(given)


def _listed(value: object) -> list[str]:
    """A list, or one file, or several separated by commas, which a file's name may hold too."""
    if isinstance(value, ListConfig):
        return [str(item) for item in value]
    text = str(value)
    if Path(text).is_file():
        return [text]
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return [item.strip() for item in inner.split(",") if item.strip()]


def _measure(
    name: str,
    title: str,
    dataset: ImageDataset,
    upscalers: Sequence[Upscaler],
    protocol: Protocol,
    device: torch.device,
    sheet: int,
) -> MeasuredSet:
    def measured(i: int, keep_pictures: bool) -> Measured:
        grey = read_picture(dataset.files[i].hr).grey
        return Measured.of(dataset[i], upscalers, protocol, device, grey, keep_pictures)

    images = []
    with progress_bar(f"measuring {title}", len(dataset)) as advance:
        for i in range(len(dataset)):
            images.append(measured(i, keep_pictures=i < sheet))
            advance()
    if sheet >= len(images):  # all are on the one sheet
        return MeasuredSet(name, images)
    # Computed anew, as which they are is known at the end alone and all pictures would not fit into memory.
    judged = upscalers[min(1, len(upscalers) - 1)].name
    failures = [measured(i, keep_pictures=True) for i in worst(images, protocol, judged)[:sheet]]
    return MeasuredSet(name, images, failures)


def _write_recipes(
    output: Path, files: Mapping[str, Sequence[ImageFile]], degradation: Degradation, seed: int, scale: int
) -> None:
    """recipes.json: what was drawn for each picture; of several sets in their folders."""
    for name, of_set in files.items():
        recipes = {file.name: recipe_of(file.name, seed, degradation, scale) for file in of_set}
        folder = output / name if len(files) > 1 else output
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "recipes.json", json.dumps(recipes, indent=1) + "\n")


main = entry_point("evaluate")(evaluate)

if __name__ == "__main__":
    main()
