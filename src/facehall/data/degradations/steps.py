"""Degradation programs: a recipe is a list of steps, mostly run with OpenCV.

Format: {"steps": [{"op": "blur", "shape": "gaussian", "size": 41, …}, {"op": "resize", …}, …]}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from facehall.data.degradations.base import Recipe
from facehall.imaging import quantize

# Data loaders run many single-threaded processes, and OpenCV's thread pool does not survive a fork. Set at import, so
# that it applies to the parent before it forks and to spawned workers.
cv2.setNumThreads(0)


class Sizes(NamedTuple):
    """(height, width) of the HR input and of the LR output."""

    hr: tuple[int, int]
    lr: tuple[int, int]


class Step:
    """One operation with its parameters: a frozen dataclass of plain numbers, strings and lists.

    `apply` takes and returns (h, w, 3) float32.
    """

    op: ClassVar[str]

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        raise NotImplementedError


_STEPS: dict[str, type[Step]] = {}


def register(step: type[Step]) -> type[Step]:
    """Class decorator that makes a step available to recipes."""
    _STEPS[step.op] = step
    return step


def recipe(steps: Sequence[Step]) -> Recipe:
    """Convert steps to plain data that survives a JSON round trip."""
    return {"steps": [{"op": step.op, **_plain(asdict(step))} for step in steps]}  # type: ignore[call-overload]


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in parameters.items()}


def parse(written: Recipe | None, name: str) -> list[Step]:
    """Parse the steps of a recipe.

    Raises:
        ValueError: the recipe is missing, or has unknown keys, operations or parameters.
    """
    if written is None:
        raise ValueError(f"{name} is random: it needs a recipe, from its draw() or from recipe_of()")
    if set(written) != {"steps"}:
        raise ValueError(f"a recipe of {name} must have the single key 'steps', not {sorted(written)}")
    return [_step(entry, name) for entry in written["steps"]]


def _step(entry: dict[str, Any], name: str) -> Step:
    parameters = dict(entry)
    op = parameters.pop("op", None)
    if op not in _STEPS:
        raise ValueError(
            f"a recipe of {name} has the unknown operation {op!r}; expected one of {', '.join(sorted(_STEPS))}"
        )
    try:
        return _STEPS[op](**parameters)
    except TypeError as error:
        raise ValueError(f"a recipe of {name} has wrong parameters for {op}: {error}") from None


def run(steps: Sequence[Step], hr: Tensor, scale: int) -> Tensor:
    """Run steps on hr (3, H, W) in [0, 1]; return lr (3, H / scale, W / scale) on 8-bit levels.

    Raises:
        ValueError: hr has the wrong shape, or the steps do not end at LR size.
    """
    sizes = _sizes(hr, scale)
    image = np.ascontiguousarray(hr.detach().float().permute(1, 2, 0).cpu().numpy())
    for step in steps:
        image = step.apply(image, sizes)
    lr = quantize(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))
    return _checked(lr, sizes).to(hr.device)


def _sizes(hr: Tensor, scale: int) -> Sizes:
    height, width = hr.shape[-2:]
    if hr.ndim != 3 or hr.shape[0] != 3 or not height or not width or height % scale or width % scale:
        raise ValueError(f"hr must be RGB (3, H, W) with sides that are multiples of {scale}, not {tuple(hr.shape)}")
    return Sizes((height, width), (height // scale, width // scale))


def _checked(lr: Tensor, sizes: Sizes) -> Tensor:
    if tuple(lr.shape[-2:]) != sizes.lr:
        raise ValueError(
            f"a recipe ends at {tuple(lr.shape[-2:])} pixels instead of LR size {sizes.lr}: its last resize is missing"
        )
    return lr
