"""EIPNet: sizes, edge blocks, the layers by hand, files."""

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.models.generators import EIPNet
from facehall.models.generators.eipnet import EdgeBlock, local_mean


@pytest.mark.parametrize(
    ("scale", "channels", "side", "parameters", "gmacs"),
    [
        (8, 512, 16, 11_912_582, 10.1),
        (8, 128, 16, 747_878, 0.632),
        (8, 96, 16, 421_518, 0.356),
        (4, 128, 64, 684_357, 5.94),
    ],
)
def test_published_sizes(scale, channels, side, parameters, gmacs):
    assert_size(lambda: EIPNet(scale, channels), parameters, gmacs, side)


@pytest.mark.parametrize("size", [2, 5, 7, 10])
def test_the_local_mean_is_that_of_the_pixels_inside(size):
    x = torch.rand(1, 1, 12, 13, dtype=torch.float64)
    found = local_mean(x, size)
    before = (size - 1) // 2
    for row, column in ((0, 0), (0, 6), (5, 6), (11, 12), (7, 12)):
        rows = slice(max(0, row - before), row - before + size)
        columns = slice(max(0, column - before), column - before + size)
        assert found[0, 0, row, column].item() == pytest.approx(x[0, 0, rows, columns].mean().item())
    assert found.shape == x.shape


@pytest.mark.parametrize("size", [5, 10])
def test_the_edges_of_a_constant_are_zero(size):
    edges, edge_map = EdgeBlock(4, size)(torch.full((1, 4, 16, 16), 0.7))
    assert edges.abs().max() < 1e-6
    assert edge_map.shape == (1, 1, 16, 16)
    step = torch.zeros(1, 4, 16, 16)
    step[..., 8:] = 1
    edges, _ = EdgeBlock(4, size)(step)
    assert edges[..., 8].min() > 0.3
    assert not edges[..., :8].any()


def test_outputs():
    torch.manual_seed(0)
    network = EIPNet(8, channels=16)
    lr = torch.rand(2, 3, 5, 6)
    outputs = network.outputs(lr)
    assert set(outputs) == set(network.provides)
    assert {s: tuple(edge.shape) for s, edge in outputs["edges"].items()} == {
        s: (2, 1, 5 * s, 6 * s) for s in (2, 4, 8)
    }
    assert torch.equal(network(lr), outputs["pyramid"][8])
    assert list(network.pyramid(lr)) == [8]


def test_the_layers_by_hand():
    torch.manual_seed(1)
    network = EIPNet(4, channels=8, windows=[3, 4])
    lr = torch.rand(2, 3, 5, 6)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def up(stage, x):
        return F.conv_transpose2d(x, stage.up.weight, stage.up.bias, stride=2, padding=1).relu()

    first, second = network.stages
    x = conv(network.first, lr)
    x = x + conv(first.convs[2], conv(first.convs[0], x).relu()).relu()
    x = up(first, x)
    edges = (x - local_mean(x, 3)).relu()
    maps = {2: conv(first.edge.project, edges).relu()}
    x = x + conv(second.convs[2], conv(second.convs[0], torch.cat([x, edges], 1)).relu()).relu()
    x = up(second, x)
    edges = (x - local_mean(x, 4)).relu()
    maps[4] = conv(second.edge.project, edges).relu()
    outputs = network.outputs(lr)
    torch.testing.assert_close(outputs["pyramid"][4], conv(network.head, torch.cat([x, edges], 1)))
    torch.testing.assert_close(outputs["edges"], maps)


def test_arguments(tmp_path):
    network = EIPNet(2, channels=4, windows=[5])
    assert not any(value.any() for name, value in network.state_dict().items() if name.endswith("bias"))
    assert_round_trip(network, torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, 8, not 3"):
        EIPNet(3)
    with pytest.raises(ValueError, match="windows must list 3 sides of at least 2 pixels for x8"):
        EIPNet(8, windows=[5, 7])
    with pytest.raises(ValueError, match="channels must be a multiple of 4 for x4, not 6"):
        EIPNet(4, channels=6)
