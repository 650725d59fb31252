"""Progressive training: scales that fade in along a curriculum."""

from typing import ClassVar

import pytest
import torch

from facehall.losses import PyramidPixelLoss
from facehall.metrics import Protocol
from facehall.models.generators import Generator
from facehall.training import Curriculum
from facehall.training.curriculum import Phase


class Fading(Generator):
    """Records the share of the finest scale in each step."""

    scale, fades_in = 2, True
    arguments: ClassVar = {}

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))
        self.shares = []

    def set_fade(self, share):
        self.shares.append(share)

    def pyramid(self, lr, up_to=None):
        return {2: self.gain * lr.repeat_interleave(2, -1).repeat_interleave(2, -2)}


def phases():
    return [Phase("a", 1, {"pixel": 1}), Phase("b", 6, {"pixel": 1}, fade=4), Phase("c", 1, {"pixel": 1})]


@pytest.fixture
def parts():
    return {"discriminator": None, "losses": {"pixel": PyramidPixelLoss()}, "generator_scheduler": None}


def test_the_share_grows_linearly_from_zero():
    curriculum = Curriculum(phases())
    assert [curriculum.fade(step) for step in range(9)] == [1, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert [curriculum.limited(2).fade(step) for step in range(5)] == [1, 0, 0.5, 1, 1]


def test_the_network_learns_its_share_before_each_step(make_module, fit, parts):
    module = make_module(generator=Fading(), curriculum=Curriculum(phases()), protocol=Protocol(2), **parts)
    fit(module, 8)
    assert module.generator.shares == [1, 0, 0.25, 0.5, 0.75, 1, 1, 1]


def test_a_fade_must_fit():
    with pytest.raises(ValueError, match=r"curriculum\.b: fade=4 does not fit into steps=3"):
        Phase("b", 3, {"pixel": 1}, fade=4)
    with pytest.raises(ValueError, match=r"curriculum\.b\.fade must be a number of steps"):
        Phase("b", 3, {"pixel": 1}, fade=0.5)


def test_other_networks_refuse_to_fade(make_module, parts):
    curriculum = Curriculum([Phase("a", 2, {"pixel": 1}, fade=1)])
    with pytest.raises(ValueError, match=r"curriculum\.a\.fade=1, but MultiScaleRRDB has no scales that fade in"):
        make_module(curriculum=curriculum, **parts)
