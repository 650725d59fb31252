"""Networks of other systems in tiled inference and export: measured receptive fields, pictures of any size."""

import pytest
import torch
from torch.export import Dim

from facehall.inference.tiling.receptive_field import receptive_radius
from facehall.inference.tracing import min_side
from facehall.models.generators import (
    CSCN,
    GAFHRIDN,
    PFSR,
    PPON,
    SPSR,
    EIPNet,
    LapSRN,
    MSLapSRN,
    MultiScaleUNet,
    ProSR,
    ProUIGAN,
    SRResNet,
)
from facehall.systems import as_rgb

NETWORKS = {
    "lapsrn": (lambda: LapSRN(4, depth=2, features=4), 5),
    "ms_lapsrn": (lambda: MSLapSRN(4, depth=2, recursions=2, features=4), 8),
    "cscn": (lambda: CSCN(4), 7),
    "srresnet": (lambda: SRResNet(4, blocks=2, features=4), 12),
    "pfsr": (lambda: PFSR(4, channels=8), 5),
    "eipnet": (lambda: EIPNet(8, channels=8), 8),
    "prosr": (lambda: ProSR(4, [[2, 1], [1]], features=6, growth=2), 8),
    "gafh_ridn": (lambda: GAFHRIDN(4, blocks=1, ridbs=1, features=4), 17),
    "ppon": (lambda: PPON(1, 1, 1, features=4, branch=2), 85),
    "spsr": (lambda: SPSR(1, features=4, growth=2, taps=[1], fusion="conv"), 35),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_field(name):
    """Also probes an image of one row, in float64."""
    make, radius = NETWORKS[name]
    assert receptive_radius(as_rgb(make().eval())) == radius


EXPORTED = {name: NETWORKS[name][0] for name in ("lapsrn", "cscn", "eipnet", "spsr")}  # they use their input's size
EXPORTED["multi_scale_unet"] = lambda: MultiScaleUNet(4, features=[4, 6, 8], blocks=[1, 1, 1], stage_features=4)
EXPORTED["pro_uigan"] = lambda: ProUIGAN(4, 8, landmarks=5, attention=8, heads=2)  # whose receptive field is global


@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_network_takes_any_size(name):
    network = EXPORTED[name]().eval()
    channels = 1 if network.colour == "y" else 3
    sides = {2: Dim("height", min=min_side(network)), 3: Dim("width", min=min_side(network))}
    example = (torch.rand(1, channels, 40, 48),)
    exported = torch.export.export(network, example, dynamic_shapes=(sides,), strict=False).module()
    images = torch.rand(1, channels, 17, 22)
    torch.testing.assert_close(exported(images), network(images))
