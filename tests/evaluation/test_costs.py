"""Costs: slow systems are timed by a single pass, and the input has the side that was asked for."""

import pytest
import torch

from facehall.evaluation import costs
from facehall.evaluation.costs import measure_costs
from facehall.systems import Bicubic


class Counting(Bicubic):
    def __init__(self, name):
        super().__init__(2, name)
        self.sizes = []

    def compute(self, lr):
        self.sizes.append(tuple(lr.shape))
        return super().compute(lr)


@pytest.mark.parametrize(("limit", "passes"), [(0.0, 1), (60.0, 1 + 2 + 4)])
def test_slow_systems_are_timed_once(monkeypatch, limit, passes):
    monkeypatch.setattr(costs, "SLOW", limit)
    systems = [Counting("a"), Counting("b")]
    found = measure_costs(systems, torch.rand(3, 20, 30), torch.device("cpu"), repeats=4, largest=16)
    assert found["input"] == "16x16"
    assert found["timed_once"] == (["a", "b"] if passes == 1 else [])
    for system in systems:
        assert system.sizes == [(1, 3, 16, 16)] * passes
        assert found[system.name]["ms_per_image"] > 0
