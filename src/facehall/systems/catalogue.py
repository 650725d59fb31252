"""The catalogue of systems: paper, training recipe, weights and published figures of each, read from conf/system."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from facehall.errors import FacehallError
from facehall.io.conf import conf_dir

Kind = Literal["network", "classical", "interpolation"]
Channel = Literal["y", "rgb"]


@dataclass(frozen=True)
class PublishedFigure:
    """A published result of a system.

    Attributes:
        set: the test set.
        scale: s.
        channel: measured on luma or RGB.
        psnr, ssim, lpips: means over the set; None if not published.
        border: pixels cropped on each side; None: s pixels.
        source: where the figure stands, if not in the system's own paper.
    """

    set: str
    scale: int
    channel: Channel
    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    border: int | None = None
    source: str = ""

    @property
    def protocol(self) -> str:
        """Channel and border in a few words."""
        return f"{'Y' if self.channel == 'y' else 'RGB'}, border {self.scale if self.border is None else self.border}"


@dataclass(frozen=True)
class System:
    """A system.

    Attributes:
        title: a short description.
        paper: the publication; empty for our own weights.
        scales: the supported scales.
        kind: what computes it.
        recipe: the experiment in conf/experiment that trains it; None if it is not trained here.
        recipes: scale -> another experiment, for the scales at which `recipe` does not train it.
        starts_from: the system whose weights its recipe starts from (`init`); None: from scratch.
        own_optimizer: settings of its recipe that bring the loss, optimizer and rate of its publication.
        weights: the name of its weights in the package; None if it has none there.
        published_weights: the module of `facehall.models.published` that reads the authors' weights; None without one.
        package: the optional package that runs it and carries its weights; None: it runs here.
        obtain: how to obtain the authors' weights; empty if there are none.
        trained_on: the measures used as training losses.
        tables: the paper's tables that list it.
        faces_only: it works on aligned faces only.
        published: published results.
    """

    title: str
    paper: str = ""
    scales: tuple[int, ...] = (4,)
    kind: Kind = "network"
    recipe: str | None = None
    recipes: Mapping[int, str] = field(default_factory=dict)
    starts_from: str | None = None
    own_optimizer: tuple[str, ...] = ()
    weights: str | None = None
    published_weights: str | None = None
    package: str | None = None
    obtain: str = ""
    trained_on: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()
    faces_only: bool = False
    published: tuple[PublishedFigure, ...] = ()

    def recipe_at(self, scale: int) -> str | None:
        """Return the experiment that trains it at a scale; None if it is not trained here."""
        return self.recipes.get(scale, self.recipe)

    def figures(self, set_name: str, scale: int) -> tuple[PublishedFigure, ...]:
        """Return the published figures for a test set, by its name regardless of case, at one scale."""
        return tuple(each for each in self.published if each.scale == scale and each.set.lower() == set_name.lower())


@functools.cache
def load_catalogue() -> Mapping[str, System]:
    """Return the systems of conf/system by name.

    Raises:
        FacehallError: as `read_catalogue`.
    """
    return read_catalogue(conf_dir() / "system")


def read_catalogue(folder: Path) -> dict[str, System]:
    """Read NAME.yaml of each system in a folder, in the order of the names.

    Raises:
        FacehallError: a file is not YAML, or has an unknown key or an invalid value; the message names both.
    """
    return {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}


def _read(path: Path) -> System:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FacehallError(f"{path}: not a readable YAML file ({' '.join(str(error).split())}).") from None
    values = _checked(given, System, str(path))
    for name, kind in (("scales", int), ("tables", int), ("trained_on", str), ("own_optimizer", str)):
        if name in values:
            values[name] = _list_of(values[name], kind, f"{path}: {name}")
    if values.get("kind", "network") not in get_args(Kind):
        raise FacehallError(f"{path}: kind must be one of {', '.join(get_args(Kind))}, not {values['kind']!r}.")
    recipes, scales = values.get("recipes", {}), values.get("scales", System.scales)
    if not isinstance(recipes, dict) or not all(k in scales and isinstance(v, str) for k, v in recipes.items()):
        raise FacehallError(f"{path}: recipes must be scales with an experiment each, {{4: NAME}}, not {recipes!r}.")
    if not isinstance(values.get("published", []), list):
        raise FacehallError(f"{path}: published must be a list of figures.")
    rows = enumerate(values.get("published", []), start=1)
    values["published"] = tuple(_figure(row, f"{path}: published figure {number}") for number, row in rows)
    return System(**values)


def _figure(row: object, where: str) -> PublishedFigure:
    figure = PublishedFigure(**_checked(row, PublishedFigure, where))
    if figure.channel not in get_args(Channel):
        raise FacehallError(f"{where}: channel must be y or rgb, not {figure.channel!r}.")
    return figure


def _checked(given: object, kind: type[System] | type[PublishedFigure], where: str) -> dict[str, Any]:
    """Return a mapping whose keys and plain values fit a dataclass."""
    if not isinstance(given, dict):
        raise FacehallError(f"{where}: expected KEY: VALUE lines, not {given!r}.")
    declared = {each.name: each for each in fields(kind)}
    if unknown := [key for key in given if key not in declared]:
        raise FacehallError(f"{where}: unknown key {unknown[0]!r}. Known keys: {', '.join(declared)}.")
    required = [name for name, each in declared.items() if each.default is each.default_factory is MISSING]
    if missing := [name for name in required if given.get(name) is None]:
        raise FacehallError(f"{where}: {missing[0]} is missing.")
    for key, value in given.items():
        expected = _PLAIN.get(str(declared[key].type))
        if expected is not None and (not isinstance(value, expected[0]) or isinstance(value, bool) != expected[1]):
            raise FacehallError(f"{where}: {key} must be {expected[2]}, not {value!r}.")
    return dict(given)


_PLAIN: dict[str, tuple[tuple[type, ...], bool, str]] = {
    "str": ((str,), False, "text"),
    "str | None": ((str, type(None)), False, "text or null"),
    "int": ((int,), False, "an integer"),
    "int | None": ((int, type(None)), False, "an integer or null"),
    "float | None": ((int, float, type(None)), False, "a number or null"),
    "bool": ((bool,), True, "true or false"),
}
"""Annotation of a field -> accepted types, whether it is a bool (which Python counts as an integer), in words."""


def _list_of(value: object, kind: type, where: str) -> tuple[Any, ...]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, kind) and not isinstance(item, bool) for item in items):
        raise FacehallError(f"{where} must be a list of {'integers' if kind is int else 'names'}, not {value!r}.")
    return tuple(items)
