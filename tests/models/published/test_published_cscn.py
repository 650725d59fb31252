"""Reading SCN's published weights: their layout, the cascade, errors, and the published quality."""

import numpy as np
import pytest
import torch
from scipy.io import savemat
from zoo_checks import assert_golden, golden_input, needs_shared, set5_luma_psnr, shared

from facehall.errors import FacehallError
from facehall.models.generators import CSCN
from facehall.models.published import load_published
from facehall.models.published.cscn import read

SET5 = {2: 36.958, 3: 33.12, 4: 30.864}
"""dB, measured with another implementation; published are 36.93, 33.10 and 30.86."""


def weights(scale):
    return read(shared("peer_weights", "scn", "scn_weights_srnet_x2_52.mat"), scale).eval()


def column_by_column(values):
    """Reorder the 25 pixels of predicted patches, the last dimension."""
    return values.reshape(*values.shape[:-1], 5, 5).swapaxes(-1, -2).reshape(values.shape)


def write(path, stage, **changes):
    kernels, code, recur, decode = (
        layer.weight.detach().flatten(1).numpy().T for layer in (stage.extract, stage.code, stage.recur, stage.decode)
    )
    pixels = stage.pixel_weights.detach().numpy()
    fields = {"conv": kernels, "wd": code, "usd1": recur, "ud": column_by_column(decode)}
    savemat(path, {"model": {**fields, "addp": column_by_column(pixels)[:, None], **changes}})


def random_network(scale):
    network = CSCN(scale)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def test_the_layout(tmp_path):
    network = random_network(2)
    write(tmp_path / "w.mat", network.stages[0])
    for name, value in load_published("cscn", tmp_path / "w.mat").state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


@pytest.mark.parametrize("scale", [3, 4])
def test_the_second_stage_lies_beside_the_first(tmp_path, scale):
    network = random_network(scale)
    write(tmp_path / "w_52.mat", network.stages[0])
    with pytest.raises(FacehallError, match=rf"w_52\.mat: x{scale} needs two stages.*_310\.mat in the same folder"):
        read(tmp_path / "w_52.mat", scale)
    write(tmp_path / "w_310.mat", network.stages[1])
    cascade = read(tmp_path / "w_52.mat", scale)
    assert cascade.arguments == {"scale": scale}
    for name, value in cascade.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name
    for path, wanted in ((tmp_path / "w_310.mat", scale), (tmp_path / "w_52.mat", 8)):
        with pytest.raises(FacehallError, match=f"x{wanted} needs two stages"):
            read(path, wanted)


def test_other_files(tmp_path):
    write(tmp_path / "w.mat", random_network(2).stages[0], ud=np.zeros((128, 24)))
    with pytest.raises(FacehallError, match=r"w\.mat: not the weights of an SCN \(model\.ud is not \(128, 25\)\)"):
        load_published("cscn", tmp_path / "w.mat")
    savemat(tmp_path / "number.mat", {"model": 1.0})
    with pytest.raises(FacehallError, match=r"number\.mat: not the weights of an SCN \(model\.conv"):
        load_published("cscn", tmp_path / "number.mat")


@needs_shared
@pytest.mark.parametrize(
    ("scale", "golden"),
    [
        (2, (127.110155, 98.543203, -7.069325, 370.708441, 217.580514)),
        (4, (127.752412, 100.504106, -5.785028, 322.420460, 216.818072)),
    ],
)
def test_golden_output(scale, golden):
    """The figures are of values up to 255."""
    with torch.inference_mode():
        assert_golden(weights(scale)(golden_input()), *(value / 255 for value in golden))


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("scale", SET5)
def test_published_quality(scale):
    values = set5_luma_psnr(weights(scale))
    assert len(values) == 5
    assert np.mean(values) == pytest.approx(SET5[scale], abs=0.02)
