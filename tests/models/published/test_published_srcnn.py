"""Reading SRCNN's published weights: their layout, errors, and the published quality."""

import numpy as np
import pytest
import torch
from scipy.io import savemat
from zoo_checks import assert_golden, golden_input, needs_shared, set5_luma_psnr, shared

from facehall.errors import FacehallError
from facehall.models.generators import SRCNN
from facehall.models.published import load_published, published_names

GOLDEN = {
    ("9-1-5_91_images", 2): (0.401839, 0.599584, -0.092061, 0.664301, 1.172043),
    ("9-1-5_91_images", 3): (0.479029, 0.384541, -0.003105, 0.385890, 0.065173),
    ("9-1-5_91_images", 4): (0.562317, 0.314951, 0.032612, 0.739381, 0.695318),
    ("9-5-5_ImageNet", 2): (0.521479, 0.678113, 0.152961, 0.465696, 1.397117),
    ("9-5-5_ImageNet", 3): (0.432780, 0.451921, -0.447095, 0.417890, -0.248584),
    ("9-5-5_ImageNet", 4): (0.474666, 0.523427, 0.208078, 0.319702, 0.632213),
}
SET5 = {
    ("9-1-5_91_images", 2): 36.362,
    ("9-1-5_91_images", 3): 32.399,
    ("9-1-5_91_images", 4): 30.090,
    ("9-5-5_ImageNet", 2): 36.676,
    ("9-5-5_ImageNet", 3): 32.760,
    ("9-5-5_ImageNet", 4): 30.494,
}
"""dB, measured with another implementation; published are 36.66, 32.75 and 30.48 for 9-5-5."""


def weights(variant, scale):
    return load_published("srcnn", shared("peer_weights", "srcnn", f"srcnn_{variant}__x{scale}.mat"))


def columns(kernels):
    """(..., row, column) -> (..., tap), column by column, as MATLAB stores them."""
    return np.swapaxes(kernels, -1, -2).reshape(*kernels.shape[:-2], -1)


@pytest.fixture(params=[1, 3, 5])
def file(tmp_path, request):
    """A random network and its weights in the published layout."""
    torch.manual_seed(0)
    network = SRCNN(3, request.param, features=4, mapped=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    state = {name: value.numpy().astype(np.float64) for name, value in network.state_dict().items()}
    contents = {
        "weights_conv1": columns(state["layers.0.weight"][:, 0]).T,
        "weights_conv2": columns(state["layers.2.weight"]).transpose(1, 2, 0),
        "weights_conv3": columns(state["layers.4.weight"][0]),
        **{f"biases_conv{i + 1}": state[f"layers.{2 * i}.bias"][:, None] for i in range(3)},
    }
    path = tmp_path / "x3.mat"
    savemat(path, contents)
    return network, path, contents


def test_the_layout(file):
    network, path, _ = file
    read = load_published("srcnn", path, scale=3)
    assert read.arguments == network.arguments
    for name, value in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], value)


def test_errors(file, tmp_path):
    _, path, contents = file
    assert "srcnn" in published_names()
    with pytest.raises(FacehallError, match=r"x3\.mat: these are weights of srcnn for x3, not for x2"):
        load_published("srcnn", path, scale=2)
    with pytest.raises(FacehallError, match="Rename it"):
        load_published("srcnn", path.rename(tmp_path / "weights.mat"))
    wrong = [("weights_conv3", np.zeros((2, 2))), ("weights_conv2", np.zeros((4, 4, 3))), ("biases_conv1", [])]
    for name, value in wrong:
        savemat(tmp_path / "x2.mat", {**contents, name: value})
        with pytest.raises(FacehallError, match=r"x2\.mat: not the weights of an SRCNN"):
            load_published("srcnn", tmp_path / "x2.mat")
    savemat(tmp_path / "x4.mat", {"other": 1})
    with pytest.raises(FacehallError, match="no variable weights_conv1"):
        load_published("srcnn", tmp_path / "x4.mat")


@needs_shared
@pytest.mark.parametrize(("variant", "scale"), GOLDEN)
def test_golden_output(variant, scale):
    network = weights(variant, scale)
    assert network.scale == scale
    with torch.inference_mode():
        assert_golden(network(golden_input()), *GOLDEN[variant, scale])


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(("variant", "scale"), SET5)
def test_published_quality(variant, scale):
    assert np.mean(set5_luma_psnr(weights(variant, scale))) == pytest.approx(SET5[variant, scale], abs=0.02)
