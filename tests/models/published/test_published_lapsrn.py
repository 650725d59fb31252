"""Reading LapSRN's published weights: their layout, errors, and the published quality."""

import numpy as np
import pytest
import torch
from scipy.io import savemat
from zoo_checks import assert_golden, golden_input, needs_shared, set5_luma_psnr, shared

from facehall.errors import FacehallError
from facehall.models.generators import LapSRN
from facehall.models.published import load_published

GOLDEN = {
    2: (0.504159, 0.364929, 0.050281, 1.158358, 0.822339),
    4: (0.503348, 0.370011, 0.069726, 1.241336, 0.854146),
    8: (0.464669, 0.327675, 0.104220, 0.864395, 0.963808),
}
SET5 = {2: 37.486, 4: 31.529, 8: 26.138}
"""dB, measured with another implementation; published are 37.52, 31.54 and 26.15."""
PARAMETERS = {2: 407_441, 4: 814_242, 8: 667_123}


def weights(scale):
    return load_published("lapsrn", shared("peer_weights", "lapsrn", f"lapsrn_x{scale}.mat"))


def write(path, params):
    table = np.zeros((1, len(params)), dtype=[("name", object), ("value", object)])
    for i, (name, value) in enumerate(params.items()):
        table[0, i] = (name, value)
    savemat(path, {"net": {"params": table}})


def published_layout(network):
    """MatConvNet's (rows, columns, in, out), of transposed convolutions (rows, columns, out, in)."""
    params = {}

    def add(name, layer):
        params[f"{name}_f"] = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
        if layer.bias is not None:
            params[f"{name}_b"] = layer.bias.detach().numpy()[:, None]

    add("input_conv", network.first[0])
    depth, count = network.arguments["depth"], len(network.levels)
    for i, level in enumerate(network.levels):
        prefix = f"level{count - i}_"  # the last level is 1
        for j in range(depth):
            add(f"{prefix}conv{j + 1}", level.features[2 * j])
        add(f"{prefix}upconv", level.features[2 * depth])
        add(f"{prefix}residual_conv", level.residual)
        add(f"{prefix}img_up", level.image)
    return params


@pytest.mark.parametrize(("scale", "depth", "features"), [(2, 1, 3), (8, 2, 4)])
def test_the_layout(tmp_path, scale, depth, features):
    network = LapSRN(scale, depth, features)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    write(tmp_path / "w.mat", published_layout(network))
    read = load_published("lapsrn", tmp_path / "w.mat")
    assert read.arguments == network.arguments
    for name, value in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name


def test_other_files(tmp_path):
    params = published_layout(LapSRN(2, 2, 4))
    del params["level1_conv2_f"]
    write(tmp_path / "w.mat", params)
    with pytest.raises(FacehallError, match=r"w\.mat: not the weights of a LapSRN"):
        load_published("lapsrn", tmp_path / "w.mat")
    savemat(tmp_path / "other.mat", {"model": 1.0})
    with pytest.raises(FacehallError, match=r"other\.mat: no variable net \(it holds model\)"):
        load_published("lapsrn", tmp_path / "other.mat")
    savemat(tmp_path / "number.mat", {"net": 1.0})
    with pytest.raises(FacehallError, match=r"number\.mat: not the weights of a LapSRN"):
        load_published("lapsrn", tmp_path / "number.mat")


@needs_shared
@pytest.mark.parametrize("scale", SET5)
def test_golden_output(scale):
    network = weights(scale)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[scale]
    with torch.inference_mode():
        assert_golden(network(golden_input()), *GOLDEN[scale])


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("scale", SET5)
def test_published_quality(scale):
    values = set5_luma_psnr(weights(scale))
    assert len(values) == 5
    assert np.mean(values) == pytest.approx(SET5[scale], abs=0.02)
