"""Evaluate weights against bicubic: ``python -m facehall.evaluate weights=FILE data=images data.root=DIR``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.config.checks import check_integers
from facehall.config.sets import build_sets, listed, read_sets
from facehall.data import Degradation, ImageFile, recipe_of
from facehall.errors import FacehallError
from facehall.evaluation.costs import measure_costs
from facehall.evaluation.evaluation import ComparedSystem, Evaluation
from facehall.evaluation.measuring import measure_set
from facehall.evaluation.report import write_report
from facehall.inference.picker import pick_weights
from facehall.inference.predictor import choose_device
from facehall.inference.upscalers import labels, open_upscalers
from facehall.io.atomic import write_text
from facehall.io.logs import say
from facehall.metrics import Protocol
from facehall.training.runs import display_path


def evaluate(cfg: DictConfig) -> Evaluation:
    """Evaluate systems on a split of one or several sets as configured in conf/evaluate.yaml.

    Returns:
        the table and the measures of every image.

    Raises:
        FacehallError: an error in the config, the data or a weights file.
    """
    check_integers(cfg, sheet=0, repeats=1)
    device = choose_device(cfg.device)
    options = {"device": str(device), "backend": cfg.backend, "tile": cfg.tile, "fidelity": cfg.fidelity}
    upscalers = open_upscalers(_systems(cfg), cfg.scale, **options)
    cfg.scale = upscalers[0].scale  # referenced by data and metrics
    degradation = build(cfg.degradation, "degradation")
    datasets = read_sets(cfg, build_sets(cfg), degradation)
    protocol: Protocol = build(cfg.metrics, "metrics").to(device)
    first = next(iter(datasets.values()))[0]
    for dataset in datasets.values():
        protocol.require(dataset[0])
    output = Path(str(cfg.output))
    output.mkdir(parents=True, exist_ok=True)  # fail now, not after an hour of evaluation
    sets = []
    for name, dataset in datasets.items():
        title = f"the {cfg.split} images" + (f" of {name}" if len(datasets) > 1 else "")
        sets.append(measure_set(name, title, dataset, upscalers, protocol, device, cfg.sheet))
    if degradation.random:
        files = {name: dataset.files for name, dataset in datasets.items()}
        _write_recipes(output, files, degradation, cfg.seed, cfg.scale)
    evaluation = Evaluation(
        systems=[ComparedSystem(each.name, each.origin, each.backend, each.trained_on) for each in upscalers],
        protocol=protocol,
        sets=sets,
        costs=measure_costs(upscalers, first["lr"], device, cfg.repeats),
        fidelity=cfg.fidelity,
    )
    write_report(evaluation, output)
    print(evaluation.text())
    say(f"Table, per-image measures and comparison sheets are in {display_path(output)}.")
    return evaluation


def _systems(cfg: DictConfig) -> Mapping[str, str]:
    """Return {label in the table: weights or name}; the label of a single weights file is `model`."""
    if cfg.systems:
        if cfg.weights:
            raise FacehallError("weights and systems are both given: list everything in systems.")
        if isinstance(cfg.systems, DictConfig):
            return {str(label): str(weights) for label, weights in cfg.systems.items()}
        return labels(listed(cfg.systems))
    given = listed(cfg.weights) if cfg.weights else [str(pick_weights(Path(str(cfg.runs))))]
    return {"model": given[0]} if len(given) == 1 else labels(given)


def _write_recipes(
    output: Path, files: Mapping[str, Sequence[ImageFile]], degradation: Degradation, seed: int, scale: int
) -> None:
    """Write recipes.json, the degradation drawn for each picture; with several sets, one in each set's folder."""
    for name, of_set in files.items():
        recipes = {file.name: recipe_of(file.name, seed, degradation, scale) for file in of_set}
        folder = output / name if len(files) > 1 else output
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "recipes.json", json.dumps(recipes, indent=1) + "\n")


main = entry_point("evaluate")(evaluate)

if __name__ == "__main__":
    main()
