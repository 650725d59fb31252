"""DISTS: agreement with the authors' code, and where its weights come from."""

import pytest
import torch
from small import Malicious

from facehall.assets import WeightsNotFoundError
from facehall.assets import dists as assets
from facehall.errors import FacehallError
from facehall.metrics import Protocol
from facehall.metrics.dists import DISTS, MIN_SIZE
from facehall.metrics.judges.perceptual import DISTSJudge


@pytest.fixture(scope="module")
def metric(pretrained):
    try:
        return DISTS()
    except WeightsNotFoundError as error:
        pytest.skip(f"the weights of DISTS are not on this machine and cannot be fetched: {error}")


def test_golden_value(metric):
    """Values of `DISTS_pytorch` 0.1 on torchvision's VGG16; the largest difference was 1.2e-7."""
    torch.manual_seed(123)
    sr, hr = torch.rand(10, 3, 100, 100), torch.rand(10, 3, 100, 100)
    values = metric(sr, hr)
    assert values.shape == (10,)
    assert values.mean().item() == pytest.approx(0.184992, abs=2e-6)
    smooth = torch.nn.functional.avg_pool2d(sr, 3, 1, 1)
    assert metric(sr, smooth).mean().item() == pytest.approx(0.3862, abs=5e-5)
    assert metric(sr[:2], sr[:2]).abs().max() < 1e-6


def test_invalid_inputs_are_refused(metric):
    for a, b in (((1, 3, 32, 32), (2, 3, 32, 32)), ((1, 1, 32, 32),) * 2, ((1, 3, MIN_SIZE - 1, 32),) * 2):
        with pytest.raises(FacehallError, match=r"DISTS compares two batches.*metrics\.measures"):
            metric(torch.rand(a), torch.rand(b))


def test_hr_is_computed_once_for_several_systems(metric, monkeypatch):
    judge = DISTSJudge()
    protocol = Protocol(4, [judge])
    pictures = [torch.rand(1, 3, 40, 36, generator=torch.Generator().manual_seed(seed)) for seed in range(5)]
    hr, other, *systems = pictures
    expected = [protocol.measure(sr, hr)["dists"] for sr in systems]
    computed = []
    features = DISTS.features
    monkeypatch.setattr(DISTS, "features", lambda self, images: computed.append(images) or features(self, images))
    with protocol.one_reference():
        assert [protocol.measure(sr, hr)["dists"] for sr in systems] == expected
        assert len(computed) == 1 + len(systems)
        with pytest.raises(FacehallError, match="DISTS compares two batches"):
            protocol.measure(systems[0][..., :20, :20], hr[..., :20, :20])
        assert protocol.measure(systems[0], other)["dists"] != expected[0]  # another HR is noticed
    assert not judge._reference  # and not kept


# ---------------------------------------------------------------- its weights


def test_invalid_files_are_named_and_execute_no_code(tmp_path):
    path = tmp_path / "dists.pt"
    torch.save({"alpha": Malicious(tmp_path / "executed"), "beta": torch.zeros(1)}, path)
    with pytest.raises(FacehallError, match=r"dists\.pt cannot be read as DISTS weights"):
        assets.read_dists(path)
    assert not (tmp_path / "executed").exists()
    torch.save({"alpha": torch.zeros(1, 3, 1, 1), "beta": torch.zeros(1, 3, 1, 1)}, path)
    with pytest.raises(FacehallError, match="alpha and beta must be finite and 1x1475"):
        assets.read_dists(path)
