"""Which systems of the catalogue can be opened here, with which weights; and how to obtain the others."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facehall.errors import FacehallError
from facehall.inference.methods import METHODS
from facehall.inference.upscalers import how_to_obtain, open_upscalers
from facehall.models.weights import SUFFIX, read_metadata
from facehall.systems import System, Upscaler, load_catalogue

Origin = Literal["none", "package", "authors", "trained"]
"""Where weights come from: none are needed, the package, the system's authors, or a training by this project."""

WEIGHTS = Path("weights") / f"generator_ema{SUFFIX}"
"""The weights of a run folder that are compared."""
FINISHED = "summary.json"
"""Written at the end of a training."""


@dataclass(frozen=True)
class Available:
    """A system that can be opened.

    Attributes:
        name: its name in the catalogue.
        weights: what `open_upscalers` takes.
        origin: where the weights come from.
        minutes: training time, if its run recorded it.
        steps: the generator's training steps, likewise.
    """

    name: str
    weights: str
    origin: Origin
    minutes: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Missing:
    """A system without weights, and how to obtain them."""

    name: str
    advice: str


def select_systems(names: Sequence[str] | None, scale: int) -> dict[str, System]:
    """Return the named systems of the catalogue that support a scale, in its order; None: all.

    Raises:
        FacehallError: an unknown name; none of them supports the scale.
    """
    known = load_catalogue()
    for name in names or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise FacehallError(
                f"systems: unknown system {name!r}.{f' Did you mean {near[0]!r}?' if near else ''} Known: "
                f"{', '.join(known)}."
            )
    chosen = {name: known[name] for name in known if names is None or name in names}
    found = {name: system for name, system in chosen.items() if scale in system.scales}
    if not found:
        raise FacehallError(f"systems: none of {', '.join(chosen)} supports scale={scale}.")
    return found


def find_weights_of(name: str, system: System, scale: int, files: Mapping[str, str], runs: Path) -> Available | Missing:
    """Return the weights of a system: a given file, none if it needs none, those in the package, or of a finished run.

    Args:
        name: the system's name.
        system: its entry.
        scale: s.
        files: system -> weights file; any that is not a .safetensors file is read as published by the authors.
        runs: folder of the runs NAME_xSCALE.

    Raises:
        FacehallError: a given file does not exist or has no reader.
    """
    if name in files:
        return _given(name, system, files[name])
    if system.kind == "interpolation" or name in METHODS:
        return Available(name, name, "none")
    if system.package is not None:
        try:
            importlib.import_module(system.package)
        except ImportError as error:  # not installed, or without a library of the system
            return Missing(name, f"{how_to_obtain(name, scale)} ({error})")
        return Available(name, name, "authors")
    if system.weights is not None:
        return Available(name, system.weights, "package")
    run = run_folder_of(name, scale, runs)
    finished = (run / FINISHED).is_file() or system.kind == "classical"  # those are fitted, and written at the end
    if finished and (run / WEIGHTS).is_file():
        return _trained(name, run / WEIGHTS)
    return Missing(name, how_to_obtain(name, scale))


def _given(name: str, system: System, file: str) -> Available:
    path = Path(file)
    if not path.exists():
        raise FacehallError(f"files.{name}={file}: no such file.")
    if path.suffix == SUFFIX:
        return _trained(name, path)
    if system.published_weights is not None:
        return Available(name, f"{system.published_weights}:{file}", "authors")
    if path.suffix == ".pth":  # a public RRDBNet
        return Available(name, file, "authors")
    raise FacehallError(f"files.{name}={file}: only .safetensors files of this system can be read.")


def _trained(name: str, weights: Path) -> Available:
    return Available(name, str(weights), "trained", training_minutes(weights), training_steps(weights))


def run_folder_of(name: str, scale: int, runs: Path) -> Path:
    """Return the folder in which a system is trained."""
    return runs / f"{name}_x{scale}"


def training_minutes(weights: Path) -> float | None:
    """Return the training time that a weights file or its run folder records; None if neither does."""
    seconds = _recorded(weights, "seconds")
    return None if seconds is None else seconds / 60


def training_steps(weights: Path) -> int | None:
    """Return the generator's training steps that the run folder of a weights file records; None without a record."""
    steps = _recorded(weights, "steps")
    return None if steps is None else round(steps)


def _recorded(weights: Path, key: str) -> float | None:
    """Return a number from job.json, which counts all starts of a training, its summary.json, or the weights file."""
    run = weights.absolute().parent.parent
    records: list[Any] = [_read(run / "job.json"), _read(run / FINISHED)]
    if weights.suffix == SUFFIX:
        records.append(read_metadata(weights))
    for record in records:
        try:
            return float(record[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def open_available(found: Iterable[Available], scale: int, **options: Any) -> dict[str, tuple[Available, Upscaler]]:
    """Open systems, by name.

    Args:
        found: the systems.
        scale: s.
        options: passed to `Predictor`.

    Raises:
        FacehallError: a weights file is invalid or of another scale.
    """
    opened: dict[str, tuple[Available, Upscaler]] = {}
    for each in found:
        upscalers = open_upscalers({each.name: each.weights}, scale, **options)
        opened[each.name] = each, next(upscaler for upscaler in upscalers if upscaler.name == each.name)
    return opened
