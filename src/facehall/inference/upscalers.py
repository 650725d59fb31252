"""Upscalers from names or weights files, for evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from facehall.errors import FacehallError
from facehall.inference.methods import METHODS
from facehall.inference.predictor import Predictor
from facehall.models.pretrained import bundled_names, weights_file
from facehall.models.weights import SUFFIX, read_metadata
from facehall.systems import Bicubic, Upscaler, load_catalogue
from facehall.systems.real_esrgan import MODELS, RealESRGAN

LOSSES = "losses"
"""Metadata key of a weights file: measures used as training losses, separated by commas."""


class NetworkUpscaler:
    """`Upscaler` of a weights file, computed by a `Predictor`."""

    def __init__(self, predictor: Predictor, name: str, origin: str, trained_on: tuple[str, ...] = ()) -> None:
        self.predictor = predictor
        self.name = name
        self.origin = origin
        self.trained_on = trained_on
        self.scale = predictor.scale

    @property
    def backend(self) -> str:
        return self.predictor.backend.partition(" ")[0]

    @property
    def network(self) -> nn.Module:
        return self.predictor.rgb_generator

    def upscale(self, lr: Tensor) -> Tensor:
        return self.predictor.super_resolve(lr)

    def compute(self, lr: Tensor) -> Tensor:
        return self.predictor.compute(lr)


def open_upscalers(given: Mapping[str, str], scale: int | None = None, **options: Any) -> list[Upscaler]:
    """Create upscalers by label, bicubic first; bicubic, the baseline of every table, is added if missing.

    Args:
        given: label -> ``bicubic``, a name from `METHODS`, a model of Real-ESRGAN (`MODELS`), the name of weights in
            the package, a weights file, or READER:FILE, weights published by a system's authors
            (`facehall.models.published`).
        scale: required scale of all of them; None uses that of the weights.
        options: passed to `Predictor`.

    Raises:
        FacehallError: if a name or file is invalid, or the scales differ.
    """
    scaleless = ("bicubic", *METHODS, *MODELS)
    networks = {
        label: _open(label, what, {**options, "scale": scale}) for label, what in given.items() if what not in scaleless
    }
    scales: dict[int, str] = {} if scale is None else {scale: f"scale={scale}"}
    for label, upscaler in networks.items():
        if scales and upscaler.scale not in scales:
            first = next(iter(scales.values()))
            advice = "Do not set scale." if scale is not None else "Compare systems with the same scale."
            raise FacehallError(f"{first}, but {given[label]} is a x{upscaler.scale} network. {advice}")
        scales.setdefault(upscaler.scale, f"{given[label]} is a x{upscaler.scale} network")
    if not scales:
        named = [what for what in given.values() if what != "bicubic"]
        subject = f"{' and '.join(['bicubic', *named])} have" if named else "bicubic alone has"
        raise FacehallError(f"systems: {subject} no scale. Set scale=2, 3, 4 or 8.")
    (common,) = scales
    labels = [label for label, what in given.items() if what == "bicubic"] or ["bicubic"]
    others = [
        networks[label] if label in networks else _method(label, what, common)
        for label, what in given.items()
        if what != "bicubic"
    ]
    return [*(Bicubic(common, label) for label in labels), *others]


def _method(label: str, what: str, scale: int) -> Upscaler:
    if what in MODELS:
        return RealESRGAN(what, scale, label)
    method = METHODS[what](scale)
    method.name = label
    return method


def _open(label: str, what: str, options: Mapping[str, Any]) -> NetworkUpscaler:
    system = load_catalogue().get(what)
    if system is not None and system.weights is None and not Path(what).is_file():
        raise FacehallError(f"systems: {what} requires a weights file: {how_to_obtain(what)}. Then give that file.")
    known = system if system is not None and system.weights in bundled_names() else None
    trained_on = known.trained_on if known else _losses(weights_file(what))
    return NetworkUpscaler(Predictor(what, **options), label, what, trained_on)


def how_to_obtain(name: str, scale: int | None = None) -> str:
    """Return how to obtain weights of a system of the catalogue: from its authors, or by training it, at a scale."""
    system = load_catalogue()[name]
    ways = [system.obtain.rstrip(".")] if system.obtain else []
    recipe = system.recipe if scale is None else system.recipe_at(scale)
    if recipe is not None:
        ways.append(f"train it: python -m facehall.train experiment={recipe}")
    return "; or ".join(ways) or "there are no public weights, and no recipe here"


def _losses(file: Path) -> tuple[str, ...]:
    if file.suffix != SUFFIX or not file.is_file():
        return ()
    return tuple(filter(None, read_metadata(file).get(LOSSES, "").split(",")))


def labels(given: Iterable[str]) -> dict[str, str]:
    """Label names and files: {label: system}. The label of a file is the shortest unique end of its path, no suffix.

    Raises:
        FacehallError: if a system is given twice.
    """
    items = [str(system) for system in given]
    for item in items:
        if items.count(item) > 1:
            raise FacehallError(f"{item} is given twice. Give each system once.")
    parts = {item: (item,) if item in load_catalogue() else Path(item).with_suffix("").parts for item in items}
    found = {}
    for item in items:
        own = parts[item]
        ends = range(1, len(own) + 1)
        unique = (own[-n:] for n in ends if sum(other[-n:] == own[-n:] for other in parts.values()) == 1)
        found["/".join(next(unique, (item,)))] = item
    return found
