"""Training part by part: phases that train one part of the generator and keep the others fixed."""

from typing import ClassVar

import pytest
import torch
from lightning import Callback

from facehall.losses import PyramidPixelLoss
from facehall.metrics import Protocol
from facehall.models.generators import PPON, Generator
from facehall.training import Curriculum
from facehall.training.curriculum import Phase


class TwoParts(Generator):
    """The second part adds to the first one's image."""

    scale, parts = 2, ("first", "second")
    arguments: ClassVar = {}

    def __init__(self):
        super().__init__()
        self.first, self.second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
        self.part = None

    def set_part(self, part):
        self.part = part

    def pyramid(self, lr, up_to=None):
        return self._pyramid(lr, None)

    def outputs(self, lr, up_to=None):
        return {"pyramid": self._pyramid(lr, self.part)}

    def _pyramid(self, lr, part):
        first = self.first.detach() if part == "second" else self.first
        gain = first if part == "first" else first + self.second
        return {2: gain * lr.repeat_interleave(2, -1).repeat_interleave(2, -2)}


class Values(Callback):
    def __init__(self):
        self.after = []

    def on_train_batch_end(self, trainer, module, *rest):
        self.after.append((module.generator.first.item(), module.generator.second.item()))


@pytest.fixture
def parts():
    return {"discriminator": None, "losses": {"pixel": PyramidPixelLoss()}, "generator_scheduler": None}


def test_each_phase_changes_its_part_only(make_module, fit, parts):
    """Also not by the momentum of an earlier phase."""
    order = ["first", "second", None, "first"]
    curriculum = Curriculum([Phase(f"p{i}", 2, {"pixel": 1}, part=part) for i, part in enumerate(order)])
    module = make_module(generator=TwoParts(), curriculum=curriculum, protocol=Protocol(2), **parts)
    values = Values()
    fit(module, 8, callbacks=[values])
    steps = zip([(1.0, 1.0), *values.after[:-1]], values.after, strict=True)
    changed = [(a[0] != b[0], a[1] != b[1]) for a, b in steps]
    assert changed == [(True, False)] * 2 + [(False, True)] * 2 + [(True, True)] * 2 + [(True, False)] * 2


def test_unknown_parts_are_refused(make_module, parts):
    curriculum = Curriculum([Phase("a", 2, {"pixel": 1}, part="content")])
    with pytest.raises(ValueError, match=r"curriculum\.a\.part=content, but MultiScaleRRDB is trained as a whole"):
        make_module(curriculum=curriculum, **parts)
    curriculum = Curriculum([Phase("a", 2, {"pixel": 1}, part="colour")])
    generator = PPON(1, 1, 1, features=4, branch=2)
    with pytest.raises(ValueError, match=r"part=colour, but PPON has the parts content, structure, realism"):
        make_module(generator=generator, curriculum=curriculum, **parts)
