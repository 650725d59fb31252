"""Build the protocol and its judges from config values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from facehall.assets import WeightsNotFoundError
from facehall.errors import FacehallError
from facehall.metrics.judges import JUDGES, Judge
from facehall.metrics.protocol import Protocol

MEASURES = ("psnr", "ssim", "psnr_y", "ssim_y", "lpips")

MeasureSpec = str | Judge | Mapping[str, Mapping[str, Any] | None]


def build_protocol(
    scale: int,
    measures: Sequence[MeasureSpec] = MEASURES,
    lpips: Literal["alex", "vgg", "none"] = "alex",
    lpips_weights: str | Path | None = None,
    border: int | None = None,
    skip_missing: bool = False,
) -> Protocol:
    """Build the evaluation protocol for a scale.

    Args:
        scale: s.
        measures: the judges, in the order of the table: names from `facehall.metrics.judges`, {NAME: its settings}, or
            judge instances, such as a user's own built by `_target_`.
        lpips: backbone of the measure `lpips`; ``none`` omits it.
        lpips_weights: weights file of that backbone; None searches the default locations.
        border: pixels cropped on each side; None: equal to the scale.
        skip_missing: omit measures whose weights are unavailable; `Protocol.missing` then names them.

    Raises:
        FacehallError: a measure is unknown or given twice, or its weights are unavailable.
    """
    if lpips not in ("alex", "vgg", "none"):
        raise FacehallError(f"metrics.lpips={lpips}: give alex, vgg, or none to omit LPIPS.")
    own = {} if lpips == "none" else {"net": lpips, "weights": lpips_weights}
    judges, missing = [], {}
    for given in [measures] if isinstance(measures, str) else measures:
        if isinstance(given, Judge):
            judges.append(given)
            continue
        name, settings = _named(given)
        if name == "lpips":
            if lpips == "none":
                continue
            settings = {**own, **settings}
        try:
            judges.append(_build(name, settings))
        except WeightsNotFoundError as error:
            if not skip_missing:
                raise
            missing[judge_class(name).measure.label] = str(error)
    if not judges:
        raise FacehallError(" ".join(missing.values()) or "metrics.measures is empty: give at least one, such as psnr.")
    protocol = Protocol(scale, judges, border)
    protocol.missing = missing
    return protocol


def judge_class(name: str) -> type[Judge]:
    """Return the judge class for a measure's name.

    Raises:
        FacehallError: unknown name; the message lists the known ones.
    """
    if name not in JUDGES:
        near = difflib.get_close_matches(name, JUDGES, n=1)
        raise FacehallError(
            f"metrics.measures: unknown measure {name!r}.{f' Did you mean {near[0]!r}?' if near else ''} Known: "
            f"{', '.join(JUDGES)}; give your own by its class: {{_target_: mypackage.MyJudge}}."
        )
    return JUDGES[name]


def _named(given: object) -> tuple[str, dict[str, Any]]:
    if isinstance(given, str):
        return given, {}
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, settings),) = given.items()
        if isinstance(name, str) and (settings is None or isinstance(settings, Mapping)):
            return name, dict(settings or {})
    raise FacehallError(
        f"metrics.measures: {given!r} is neither the name of a measure, nor {{NAME: {{SETTING: VALUE}}}}, nor a "
        "facehall.metrics.Judge given by its _target_."
    )


def _build(name: str, settings: dict[str, Any]) -> Judge:
    judge = judge_class(name)
    try:
        return judge(**settings)
    except TypeError as error:
        raise FacehallError(f"metrics.measures: {name} does not accept these settings: {error}.") from error
