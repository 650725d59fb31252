"""SRCNN: sizes, padding, initialisation, and agreement with its equations."""

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip

from facehall.metrics import count_gmacs, count_parameters
from facehall.models.generators import SRCNN


@pytest.mark.parametrize(("kernel", "parameters", "gmacs"), [(1, 8_129, 0.074), (3, 24_513, 0.225), (5, 57_281, 0.527)])
def test_published_sizes(kernel, parameters, gmacs):
    with torch.device("meta"):
        network = SRCNN(2, kernel)
        assert count_parameters(network) == parameters
        assert count_gmacs(network, torch.empty(1, 1, 96, 96)) == pytest.approx(gmacs, abs=6e-4)


def test_layers_are_those_of_the_paper():
    """F1 = max(0, W1 * Y + B1), F2 likewise, F = W3 * F2 + B3, each with a repeated border."""
    network = SRCNN(3, 3, features=4, mapped=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    y = x = torch.rand(2, 1, 9, 12)
    for i, (weight, bias) in enumerate(zip(*[iter(network.state_dict().values())] * 2, strict=True)):
        half = weight.shape[-1] // 2
        x = F.conv2d(F.pad(x if i == 0 else x.relu(), [half] * 4, mode="replicate"), weight, bias)
    torch.testing.assert_close(network(y), x)


def test_initialisation():
    network = SRCNN()
    for name, value in network.state_dict().items():
        if name.endswith("bias"):
            assert not value.any()
        else:
            assert value.std() == pytest.approx(0.001, rel=0.2)


def test_arguments(tmp_path):
    assert_round_trip(SRCNN(3, 1, features=4, mapped=2), torch.rand(1, 1, 9, 6), tmp_path)
    with pytest.raises(ValueError, match="kernel must be odd"):
        SRCNN(kernel=4)
