"""Distances of gradient maps: of SR, and of a network's prediction."""

import pytest
import torch
from torch.nn import functional as F

from facehall.imaging import gradient_map
from facehall.losses import GradientLoss, Outputs


@pytest.mark.parametrize(("kind", "function"), [("mse", F.mse_loss), ("l1", F.l1_loss)])
def test_both_sources(kind, function):
    sr, gradient, hr = torch.rand(3, 2, 3, 6, 7)
    outputs = Outputs({"sr": sr, "gradient": gradient})
    expected = gradient_map(hr)
    of_sr, of_network = GradientLoss("sr", kind), GradientLoss("gradient", kind)
    torch.testing.assert_close(of_sr(outputs, {"hr": hr}), function(gradient_map(sr), expected))
    torch.testing.assert_close(of_network(outputs, {"hr": hr}), function(gradient, expected))
    assert of_sr.needs == ("outputs.sr", "batch.hr")
    assert of_network.needs == ("outputs.gradient", "batch.hr")


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="of must be sr or gradient, not 'hr'"):
        GradientLoss("hr")
    with pytest.raises(ValueError, match="kind must be one of mse, l1, charbonnier, not 'huber'"):
        GradientLoss("sr", "huber")
