"""Which layers count as hidden matrices, in networks of every kind and in layers of other kinds."""

from typing import ClassVar

import pytest
import torch
from small import TINY_NETWORK
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from facehall.models.discriminators import PaperDiscriminator, UNetDiscriminator
from facehall.models.generators import Generator, MultiScaleRRDB, RRDBNet, SRResNet3
from facehall.models.matrices import matrix_parameters

NETWORKS = {
    "multi_scale_rrdb": (lambda: MultiScaleRRDB(8, **TINY_NETWORK), {"first", *(f"stages.{i}.head" for i in range(3))}),
    "rrdbnet": (lambda: RRDBNet(1, 8, 4), {"conv_first", "conv_last"}),
    "srresnet3": (lambda: SRResNet3(4, 1, 8), {"first.0", "last"}),
    "paper": (lambda: PaperDiscriminator(16, 4), {"features.0", "dense"}),
    "unet": (lambda: UNetDiscriminator(4), {"first", "last"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_all_convolutions_but_those_at_images_are_matrices(name):
    make, edges = NETWORKS[name]
    network = make()
    found = matrix_parameters(network)
    layers = [key for key, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    names = {key.removesuffix(".weight").removesuffix(".parametrizations.weight.original") for key in found}
    assert names == set(layers) - edges
    own = dict(network.named_parameters())
    assert all(own[key] is weight and weight.ndim in (2, 4) for key, weight in found.items())


def test_layers_of_other_kinds_are_left_out():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ConvTranspose2d(8, 8, 3),
        weight_norm(nn.Conv2d(8, 8, 3)),
        nn.BatchNorm2d(8),
        nn.Embedding(5, 8),
        nn.Conv2d(8, 1, 3),
        nn.Conv2d(8, 8, 1),
        spectral_norm(nn.Linear(8, 8)),
        nn.PReLU(8),
        nn.Conv2d(8, 12, 3),  # a head of sub-pixel convolutions: known by its place, not its channels
    )
    assert list(matrix_parameters(network)) == ["8.weight", "9.parametrizations.weight.original"]


def test_a_shared_weight_counts_once():
    hidden = nn.Linear(4, 4)
    network = nn.Sequential(nn.Linear(2, 4), hidden, hidden, nn.Linear(4, 2))
    assert list(matrix_parameters(network)) == ["1.weight"]


class Masked(Generator):
    """A network that declares its own matrices."""

    scale = 2
    arguments: ClassVar = {}

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 3, 3))

    def matrix_parameters(self):
        return {"layers.2.weight": self.layers[2].weight}


def test_a_generator_may_name_its_own_matrices():
    network = Masked()
    assert list(network.matrix_parameters()) == ["layers.2.weight"]
    assert list(super(Masked, network).matrix_parameters()) == ["layers.1.weight", "layers.2.weight"]
    Generator.registry.pop(next(key for key, cls in Generator.registry.items() if cls is Masked))


def test_a_network_without_hidden_layers_has_none():
    assert matrix_parameters(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3))) == {}
    assert matrix_parameters(torch.nn.ReLU()) == {}
