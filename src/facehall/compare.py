"""Compare the systems of the catalogue: ``python -m facehall.compare set=set5,set14,faces root=DATA scale=4``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.config.checks import check_integers
from facehall.config.sets import benchmark_name, build_sets, is_face_set, listed, named_sets, read_sets
from facehall.data import Source
from facehall.errors import FacehallError
from facehall.evaluation.comparison import Comparison
from facehall.evaluation.comparison_report import comparison_text, write_comparison
from facehall.evaluation.costs import measure_costs
from facehall.evaluation.evaluation import ComparedSystem, Evaluation
from facehall.evaluation.measuring import measure_set
from facehall.inference.availability import (
    Available,
    Missing,
    find_weights_of,
    open_available,
    run_folder_of,
    select_systems,
)
from facehall.inference.predictor import choose_device
from facehall.io.logs import say
from facehall.metrics import Protocol
from facehall.models.published import split_published
from facehall.systems import System, Upscaler, load_catalogue
from facehall.training.runs import display_path

BICUBIC = "bicubic"


def compare(cfg: DictConfig) -> Comparison:
    """Measure the available systems of the catalogue as configured in conf/compare.yaml, after training missing ones.

    Returns:
        the table, with the systems that are missing.

    Raises:
        FacehallError: an error in the config, the data or a weights file.
    """
    _check(cfg)
    device = choose_device(cfg.device)
    systems = _selected(cfg)
    if cfg.set:
        OmegaConf.update(cfg, "sets", named_sets(listed(cfg.set), Path(str(cfg.root)), cfg.face_size), force_add=True)
    sources = build_sets(cfg)
    faces = {name for name, source in sources.items() if is_face_set(source)} | _face_sets(cfg, sources)
    degradation = build(cfg.degradation, "degradation")
    datasets = read_sets(cfg, sources, degradation)
    protocol: Protocol = build(cfg.metrics, "metrics").to(device)
    for dataset in datasets.values():
        protocol.require(dataset[0])
    output = Path(str(cfg.output))
    output.mkdir(parents=True, exist_ok=True)  # fail now, not after hours of training

    measurable = {name: system for name, system in systems.items() if faces or not system.faces_only}
    failures = _train_missing(cfg, measurable) if cfg.train.what == "missing" else {}
    found = _find(cfg, measurable)
    missing = [each for each in found if isinstance(each, Missing)]
    missing += [Missing(name, "it needs a set of aligned faces") for name in systems if name not in measurable]
    options = {"device": str(device), "backend": cfg.backend, "tile": cfg.tile}
    opened = open_available([each for each in found if isinstance(each, Available)], cfg.scale, **options)
    upscalers = [upscaler for _, upscaler in opened.values()]
    measured = [
        measure_set(
            name,
            f"the {cfg.split} images of {name}",
            dataset,
            [each for each in upscalers if name in faces or not systems[each.name].faces_only],
            protocol,
            device,
            cfg.sheet,
            failures=False,
        )
        for name, dataset in datasets.items()
    ]
    first = next(iter(datasets.values()))[0]["lr"]
    comparison = Comparison(
        evaluation=Evaluation(
            systems=[_compared(each, systems[each.name]) for each in upscalers],
            protocol=protocol,
            sets=measured,
            costs=measure_costs(upscalers, first, device, cfg.repeats, cfg.cost_side),
        ),
        scale=cfg.scale,
        systems={name: systems[name] for name in opened},
        available={name: each for name, (each, _) in opened.items()},
        missing=missing,
        benchmarks={
            name: benchmark
            for name, source in sources.items()
            if degradation.name == "bicubic" and (benchmark := benchmark_name(source, len(datasets[name])))
        },
        failures=failures,
    )
    write_comparison(comparison, output)
    print(comparison_text(comparison))
    say(f"Tables, per-image measures, sheets of crops and plots are in {display_path(output)}.")
    return comparison


def _check(cfg: DictConfig) -> None:
    check_integers(cfg, sheet=0, repeats=1, cost_side=8, scale=2)
    if cfg.set and cfg.sets:
        raise FacehallError("set and sets are both given: list everything in one of them.")
    minutes = cfg.train.minutes
    if minutes is not None and (not isinstance(minutes, (int, float)) or minutes <= 0):
        raise FacehallError(f"train.minutes={minutes}: give a positive number of minutes, or null.")
    steps = cfg.train.steps
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        raise FacehallError(f"train.steps={steps}: give a positive integer, or null.")
    if steps is not None and minutes is not None:
        raise FacehallError("train.minutes and train.steps are both given: a training ends by one of them.")


def _selected(cfg: DictConfig) -> dict[str, System]:
    """Return the systems to compare, bicubic first."""
    names = None if cfg.systems == "all" else list(dict.fromkeys([BICUBIC, *listed(cfg.systems)]))
    chosen = select_systems(names, cfg.scale)
    return {name: chosen[name] for name in sorted(chosen, key=lambda name: name != BICUBIC)}


def _face_sets(cfg: DictConfig, sources: dict[str, Source]) -> set[str]:
    names = set(listed(cfg.face_sets))
    if unknown := sorted(names - set(sources)):
        raise FacehallError(f"face_sets: no set is called {unknown[0]}; the sets are {', '.join(sources)}.")
    return names


def _find(cfg: DictConfig, systems: Mapping[str, System]) -> list[Available | Missing]:
    """Return the weights of each system, as far as there are any."""
    files = {str(name): str(file) for name, file in (cfg.files or {}).items()}
    if unknown := sorted(set(files) - set(load_catalogue())):
        raise FacehallError(f"files.{unknown[0]}: no system is called so. Known: {', '.join(load_catalogue())}.")
    return [find_weights_of(name, system, cfg.scale, files, Path(str(cfg.zoo))) for name, system in systems.items()]


def _compared(upscaler: Upscaler, system: System) -> ComparedSystem:
    """Return a row's system; the weights and the catalogue both name the measures used as training losses."""
    losses = tuple(dict.fromkeys([*upscaler.trained_on, *system.trained_on]))
    return ComparedSystem(upscaler.name, upscaler.origin, upscaler.backend, losses)


def _train_missing(cfg: DictConfig, systems: Mapping[str, System]) -> dict[str, str]:
    """Train the systems that have no weights and a recipe; return the reasons of failures by system.

    Those that start from the weights of another system come after the others.
    """
    from facehall.sweeps.recipes import train_recipe  # Lightning is slow to import

    failures = {}
    for name in sorted(systems, key=lambda name: systems[name].starts_from is not None):
        system = systems[name]
        (found,) = _find(cfg, {name: system})
        recipe = system.recipe_at(cfg.scale)
        if isinstance(found, Missing) and recipe is not None:
            given = cfg.train.face_settings if system.faces_only else cfg.train.settings
            settings = shlex.split(str(given or ""))
            if cfg.train.own_optimizer:
                settings += system.own_optimizer
            if system.starts_from is not None:
                (start,) = _find(cfg, {system.starts_from: load_catalogue()[system.starts_from]})
                if isinstance(start, Missing) or split_published(start.weights) is not None:
                    failures[name] = f"it starts from a training of {system.starts_from}, which there is not"
                    continue
                settings.append(f"init={start.weights}")
            run = run_folder_of(name, cfg.scale, Path(str(cfg.zoo)))
            if error := train_recipe(run, recipe, cfg.scale, settings, cfg.train.minutes, cfg.train.steps):
                failures[name] = f"{error} ({display_path(run)})"
    return failures


main = entry_point("compare")(compare)

if __name__ == "__main__":
    main()
