"""Measure weights beside bicubic: ``python -m facehall.evaluate weights=FILE data=images data.root=DIR``."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data import ImageDataset, MemoryStore, Pairs, recipe_of
from facehall.data.patches.pairs import check_pairs
from facehall.errors import FacehallError
from facehall.evaluation.report import Evaluation, Measured, measure_costs, worst, write_report
from facehall.imaging import read_picture
from facehall.inference import Predictor
from facehall.inference.picker import pick_weights
from facehall.io.atomic import write_text
from facehall.io.logs import say
from facehall.io.progress import progress_bar
from facehall.training.runs import shown


def evaluate(cfg: DictConfig) -> Evaluation:
    """Measure one weights file on a split of a data source as conf/evaluate.yaml says.

    Returns:
        the table and the measures of every image.

    Raises:
        FacehallError: a mistake in the config, the data or the weights file.
    """
    for key, least in (("sheet", 0), ("repeats", 1)):
        if not isinstance(cfg[key], int) or cfg[key] < least:
            raise FacehallError(f"{key}={cfg[key]}: give a whole number from {least} on.")
    weights = str(cfg.weights) if cfg.weights else pick_weights(Path(str(cfg.runs)))
    predictor = Predictor(weights, cfg.device, cfg.backend, cfg.tile, fidelity=cfg.fidelity)
    if cfg.scale not in (None, predictor.scale):
        raise FacehallError(f"scale={cfg.scale}, but {weights} holds a x{predictor.scale} network. Leave scale out.")
    cfg.scale = predictor.scale  # data and metrics refer to it
    files = build(cfg.data, "data").split(cfg.split)
    check_pairs(files)
    degradation = build(cfg.degradation, "degradation")
    dataset = ImageDataset(files, Pairs(predictor.scale, degradation, MemoryStore(0), cfg.seed))
    protocol = build(cfg.metrics, "metrics").to(predictor.device)
    output = Path(str(cfg.output))
    output.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is better known now than an hour later

    def measured(i: int, keep_pictures: bool) -> Measured:
        return Measured.of(dataset[i], predictor, protocol, read_picture(files[i].hr).grey, keep_pictures)

    images = []
    with progress_bar(f"measuring the {cfg.split} images", len(dataset)) as advance:
        for i in range(len(dataset)):
            images.append(measured(i, keep_pictures=i < cfg.sheet))
            advance()
    # Computed anew, as which they are is known at the end alone and all pictures would not fit into memory.
    failures = [measured(i, keep_pictures=True) for i in worst(images)[: cfg.sheet]] if cfg.sheet < len(images) else []
    if degradation.random:
        recipes = {file.name: recipe_of(file.name, cfg.seed, degradation, predictor.scale) for file in files}
        write_text(output / "recipes.json", json.dumps(recipes, indent=1) + "\n")
    evaluation = Evaluation(
        weights=weights,
        protocol=protocol.description,
        images=images,
        failures=failures,
        costs=measure_costs(predictor, dataset[0]["lr"], cfg.repeats),
        fidelity=cfg.fidelity,
    )
    write_report(evaluation, output)
    print(evaluation.text())
    say(f"Table, measures of every image and comparison sheets are in {shown(output)}.")
    return evaluation


main = entry_point("evaluate")(evaluate)

if __name__ == "__main__":
    main()
