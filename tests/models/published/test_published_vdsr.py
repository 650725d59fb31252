"""Reading VDSR's published weights: their layout, errors, and the published quality."""

import numpy as np
import pytest
import torch
from scipy.io import savemat
from zoo_checks import assert_golden, golden_input, needs_shared, set5_luma_psnr, shared

from facehall.errors import FacehallError
from facehall.models.generators import VDSR
from facehall.models.published import load_published

SET5 = {2: 37.552, 3: 33.671, 4: 31.352}
"""dB, measured with another implementation; published are 37.53, 33.66 and 31.35."""


def weights(scale=None):
    return load_published("vdsr", shared("peer_weights", "vdsr", "vdsr_official.mat"), scale)


def cells(values):
    cell = np.empty((1, len(values)), dtype=object)
    cell[0, :] = values
    return cell


def test_the_layout(tmp_path):
    network = VDSR(2, layers=3, features=4)
    for i in (0, 2, 4):
        torch.nn.init.normal_(network.layers[i].bias)
    convs = [network.layers[i] for i in (0, 2, 4)]
    taps = [conv.weight.detach().numpy().transpose(2, 3, 1, 0) for conv in convs]
    biases = [conv.bias.detach().numpy()[:, None] for conv in convs]
    savemat(tmp_path / "w.mat", {"model": {"weight": cells(taps), "bias": cells(biases)}})
    read = load_published("vdsr", tmp_path / "w.mat", 2)
    assert read.arguments == network.arguments
    for name, value in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], value)


@pytest.mark.parametrize(
    "model",
    [
        1.0,
        {"weight": cells([np.zeros((3, 3))] * 2), "bias": cells([1.0] * 3)},
        {"weight": cells([]), "bias": cells([])},
    ],
)
def test_other_files(tmp_path, model):
    savemat(tmp_path / "w.mat", {"model": model})
    with pytest.raises(FacehallError, match=r"w\.mat: not the weights of a VDSR"):
        load_published("vdsr", tmp_path / "w.mat")


@needs_shared
def test_golden_output():
    network = weights()
    assert network.scale == 4
    assert sum(p.numel() for p in network.parameters()) == 665_921
    with torch.inference_mode():
        assert_golden(network(golden_input()), 0.501623, 0.438756, 0.060070, 0.950858, 0.971419)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("scale", SET5)
def test_published_quality(scale):
    assert np.mean(set5_luma_psnr(weights(scale))) == pytest.approx(SET5[scale], abs=0.02)
