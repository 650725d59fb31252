"""The protocol with its judges, from plain names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from facehall.errors import FacehallError
from facehall.metrics.judges import JUDGES, Judge
from facehall.metrics.protocol import Protocol

MEASURES = ("psnr", "ssim", "psnr_y", "ssim_y", "lpips")

Given = str | Judge | Mapping[str, Mapping[str, Any] | None]


def build_protocol(
    scale: int,
    measures: Sequence[Given] = MEASURES,
    lpips: Literal["alex", "vgg", "none"] = "alex",
    lpips_weights: str | Path | None = None,
    border: int | None = None,
) -> Protocol:
    """The evaluation protocol at a scale.

    Args:
        scale: s.
        measures: the judges, in the order of the table: names of `facehall.metrics.judges`, {NAME: its settings}, or
            judges that are built already, as a user's own by `_target_`.
        lpips: the backbone of the measure `lpips`; ``none`` leaves it out.
        lpips_weights: that backbone's weights file; None looks in the usual places.
        border: pixels cut off all sides; None: as many as the scale.

    Raises:
        FacehallError: there is no such measure, one is named twice, or its weights are not to be had.
    """
    if lpips not in ("alex", "vgg", "none"):
        raise FacehallError(f"metrics.lpips={lpips}: give alex, vgg, or none to leave LPIPS out.")
    own = {} if lpips == "none" else {"net": lpips, "weights": lpips_weights}
    judges = []
    for given in [measures] if isinstance(measures, str) else measures:
        if isinstance(given, Judge):
            judges.append(given)
            continue
        name, settings = _named(given)
        if name == "lpips":
            if lpips == "none":
                continue
            settings = {**own, **settings}
        judges.append(_build(name, settings))
    if not judges:
        raise FacehallError("metrics.measures is empty: name at least one, such as psnr.")
    return Protocol(scale, judges, border)


def judge_class(name: str) -> type[Judge]:
    """The judge of that name.

    Raises:
        FacehallError: there is none; the paragraph lists those that there are.
    """
    if name not in JUDGES:
        near = difflib.get_close_matches(name, JUDGES, n=1)
        raise FacehallError(
            f"metrics.measures: there is no measure {name!r}.{f' Did you mean {near[0]!r}?' if near else ''} There are "
            f"{', '.join(JUDGES)}; one of your own is given by its class: {{_target_: mypackage.MyJudge}}."
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
        raise FacehallError(f"metrics.measures: {name} does not take these settings: {error}.") from error
