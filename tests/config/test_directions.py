"""Optuna's directions, from the declarations of the measures."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from facehall.config.resolvers import register_resolvers
from facehall.metrics import Judge, Measure


class Blur(Judge):
    """A measure from a user's package."""

    measure = Measure("blur", "Blur", "lower")


def directions(objective, measures=("psnr",)):
    register_resolvers()
    cfg = OmegaConf.create({"metrics": {"measures": list(measures)}, "search": {"objective": objective}})
    cfg.direction = "${facehall.directions:${search.objective}}"
    return list(cfg.direction)


def test_directions_follow_the_declarations():
    assert directions("lpips") == ["minimize"]
    assert directions(["psnr", "dists", "ssim_y"]) == ["maximize", "minimize", "maximize"]


def test_direction_of_a_custom_measure(monkeypatch):
    monkeypatch.setattr("facehall.config.build.ALLOWED_TARGETS", ("facehall.", f"{Blur.__module__}."))
    own = {"_target_": f"{Blur.__module__}.Blur"}
    assert directions(["blur", "psnr"], ["psnr", own]) == ["minimize", "maximize"]


def test_an_unknown_measure_is_named():
    with pytest.raises(InterpolationResolutionError, match="unknown measure 'sharpnes'; choose from"):
        directions("sharpnes")
