"""Files of the authors of ANR and A+: tiny imitations, and the real ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from facehall.classical import AnchoredRegression, read_a_plus, read_anr
from facehall.classical.patches import difference_windows, window_features
from facehall.errors import FacehallError
from facehall.imaging import crop_to_multiple, downscale_bicubic, quantize, read_rgb, to_tensor
from facehall.imaging.colour import rgb_to_y
from facehall.metrics import Protocol
from facehall.models.published import load_published, published_names

SHARED = os.environ.get("FACEHALL_SHARED")
needs_files = pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the authors' files")


def write_dictionary(path, scale=2, features=5, atoms=9, **replaced):
    random = np.random.default_rng(0)
    size = 9 * scale**2
    conf = {
        "V_pca": random.normal(size=(4 * size, features)),
        "dict_lores": random.normal(size=(features, atoms)),
        "dict_hires": random.normal(size=(size, atoms)),
    }
    savemat(path, {"conf": {**conf, **replaced}})
    return path


def write_regressors(path, size=36, features=5, atoms=9):
    cells = np.empty((1, atoms), object)
    for k in range(atoms):
        cells[0, k] = np.random.default_rng(k).normal(size=(size, features)).astype(np.float32)
    savemat(path, {"Aplus_PPs": cells})
    return path


def column_major(rows, scale):
    """Rows of windows, as MATLAB unrolls them."""
    return rows.reshape(len(rows), -1, 3 * scale, 3 * scale).transpose(2, 3).flatten(1)


def test_windows_are_stored_column_by_column(tmp_path):
    net = read_a_plus(write_regressors(tmp_path / "a.mat"), write_dictionary(tmp_path / "b.mat"))
    random = np.random.default_rng(0)
    basis = torch.from_numpy(random.normal(size=(144, 5))).float()
    image = torch.rand(14, 16)
    expected = column_major(difference_windows(image, 2), 2) @ basis
    torch.testing.assert_close(window_features(image, net.kernels, 1), expected, atol=1e-3, rtol=1e-3)
    first = torch.from_numpy(np.random.default_rng(0).normal(size=(36, 5)).astype(np.float32))
    torch.testing.assert_close(column_major(net.regressors[0].T, 2).T, first)


def test_a_plus_finds_its_dictionary(tmp_path):
    regressors = write_regressors(tmp_path / "a_plus.mat")
    write_dictionary(tmp_path / "x3.mat", scale=3)
    write_dictionary(tmp_path / "more_atoms.mat", atoms=11)
    savemat(tmp_path / "other.mat", {"x": 1.0})
    with pytest.raises(FacehallError, match=r"no dictionary fits its 9 regressors of 36x5.*conf_Zeyde"):
        load_published("a_plus", regressors)
    write_dictionary(tmp_path / "zeyde.mat")
    assert load_published("a_plus", regressors).arguments == {"scale": 2, "features": 5, "anchors": 9}


def test_anr_needs_the_dictionary_only(tmp_path):
    net = load_published("anr", write_dictionary(tmp_path / "zeyde.mat", scale=3))
    assert isinstance(net, AnchoredRegression)
    assert net.scale == 3
    assert net(torch.rand(1, 1, 7, 8)).isfinite().all()
    assert {"a_plus", "anr"} <= set(published_names())


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"V_pca": np.zeros((100, 5))}, "do not fit together"),
        ({"dict_hires": np.zeros((36, 8))}, "do not fit together"),
        ({"dict_lores": "none"}, "no matrix dict_lores"),
    ],
)
def test_damaged_dictionaries(tmp_path, replaced, message):
    with pytest.raises(FacehallError, match=message):
        read_anr(write_dictionary(tmp_path / "zeyde.mat", **replaced))


def test_other_files(tmp_path):
    savemat(tmp_path / "x.mat", {"Aplus_PPs": 1.0})
    with pytest.raises(FacehallError, match="not a list of equally large matrices"):
        read_a_plus(tmp_path / "x.mat")
    with pytest.raises(FacehallError, match="no variable conf"):
        read_anr(tmp_path / "x.mat")
    (tmp_path / "text.mat").write_text("no MATLAB file")
    with pytest.raises(FacehallError, match="not a readable MATLAB file"):
        load_published("anr", tmp_path / "text.mat")


def authors_file(name):
    assert SHARED is not None
    return Path(SHARED) / "data" / "peer_weights" / "aplus" / f"{name}.mat"


def psnr(net, indices=range(1, 6)):
    """Y of Set5, from LR that is not rounded."""
    protocol = Protocol(net.scale)
    found = []
    for i in indices:
        picture = to_tensor(read_rgb(Path(SHARED) / "data" / "benchmark" / "Set5" / "HR" / f"img_{i:03}.png"))
        hr = quantize(rgb_to_y(crop_to_multiple(picture, net.scale)))
        with torch.inference_mode():
            sr = net(downscale_bicubic(hr, net.scale)[None])
        found.append(float(protocol.measure(sr, hr[None])["psnr_y"]))
    return found


@needs_files
def test_golden_values_of_a_plus():
    net = read_a_plus(authors_file("aplus_x2"))
    y, x = torch.meshgrid(torch.arange(12), torch.arange(16), indexing="ij")
    image = ((37 * y + 61 * x + x * y) % 256) / 255
    inner = net(image[None, None])[0, 0, 2:-2, 2:-2].double()
    found = [inner.mean(), inner.std(correction=0), inner[0, 0], inner[10, 14], inner[-1, -1]]
    assert [float(value) for value in found] == pytest.approx(
        [0.494987, 0.369756, 0.322103, 1.307530, 0.709353], abs=1e-4
    )


@needs_files
def test_one_picture_of_each_file():
    assert psnr(read_a_plus(authors_file("aplus_x2")), [3])[0] == pytest.approx(32.00, abs=0.02)
    for scale, expected in ((2, 30.48), (3, 25.90), (4, 23.51)):
        assert psnr(read_anr(authors_file(f"zeyde_x{scale}")), [3])[0] == pytest.approx(expected, abs=0.02)


@needs_files
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "expected"), [("a_plus", 2, 36.543), ("anr", 2, 35.833), ("anr", 3, 31.916), ("anr", 4, 29.685)]
)
def test_set5(name, scale, expected):
    net = load_published(name, authors_file("aplus_x2" if name == "a_plus" else f"zeyde_x{scale}"))
    assert sum(psnr(net)) / 5 == pytest.approx(expected, abs=0.02)
