"""Which epoch's weights are kept: the lowest LPIPS above a PSNR floor."""

import math

import pytest
import torch
from torch.utils.data import DataLoader

from facehall.errors import FacehallError
from facehall.metrics import Judge, Measure, Protocol
from facehall.metrics.judges.signal import PSNR, SSIM
from facehall.models.weights import load_generator, read_metadata
from facehall.training.callbacks import BestWeights


class Distance(Judge):
    """A stand-in for LPIPS, which would need its weights."""

    measure = Measure("lpips", "LPIPS", "lower", perceptual=True)


def best_of(callback, table, psnr_epochs=1, begin=1):
    """Pass (PSNR, LPIPS) of each epoch to the callback, bicubic at 26 dB; return the epochs it recorded as best."""
    taken = []
    for epoch, (psnr, lpips) in enumerate(table, start=begin):
        values = {"val/psnr": psnr, "val/ssim": 0.7, "val/bicubic_psnr": 26.0}
        values |= {} if lpips is None else {"val/lpips": lpips}
        protocol = Protocol(2, [PSNR(), SSIM(), *([] if lpips is None else [Distance()])])
        if callback.consider({"epoch": epoch, "step": 10 * epoch}, epoch <= psnr_epochs, values, protocol):
            taken.append(epoch)
    return taken


def callback(tmp_path, **settings):
    return BestWeights(tmp_path, "run", **settings)


TABLE = [(27.0, 0.4), (26.5, 0.3), (25.8, 0.1), (26.2, 0.25), (26.1, 0.28)]


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({}, [1, 2, 4]),
        ({"margin": 0.3}, [1, 2, 3]),
        ({"floor": "psnr_phase"}, [1]),
        ({"floor": "psnr_phase", "margin": 0.6}, [1, 2]),
        ({"floor": 26.15}, [1, 2, 4]),
        ({"floor": None}, [1, 2, 3]),
        ({"floor": 30.0}, []),
    ],
)
def test_the_lowest_lpips_above_each_floor(tmp_path, settings, taken):
    kept = callback(tmp_path, **settings)
    assert best_of(kept, TABLE) == taken
    assert (kept.best or {}).get("epoch") == (taken[-1] if taken else None)


def test_without_lpips_the_highest_psnr_is_best(tmp_path):
    assert best_of(callback(tmp_path), [(25.0, None), (26.5, None), (26.4, None), (27.0, None)]) == [2, 4]


def test_the_floor_rises_with_the_first_phase(tmp_path):
    kept = callback(tmp_path, floor="psnr_phase", margin=0.5)
    assert best_of(kept, [(26.0, 0.30), (27.0, 0.35), (26.6, 0.2)], psnr_epochs=2) == [1, 2, 3]


def test_nan_is_never_the_best(tmp_path):
    assert best_of(callback(tmp_path, floor=None), [(math.nan, 0.1), (27.0, math.nan), (27.0, 0.2)]) == [3]


def test_the_best_epoch_survives_a_resume(tmp_path):
    whole, first, second = (callback(tmp_path, floor="psnr_phase", margin=0.6) for _ in range(3))
    best_of(whole, TABLE)
    best_of(first, TABLE[:2])
    second.load_state_dict(first.state_dict())
    best_of(second, TABLE[2:], begin=3)
    assert second.best == whole.best


def test_a_training_writes_the_file_of_its_best_epoch(make_module, fit, tmp_path):
    module = make_module(psnr_steps=9, gan_steps=0)
    pairs = [{"lr": torch.rand(3, 16, 16), "hr": torch.rand(3, 32, 32), "name": str(i)} for i in range(2)]
    module.val_dataloader = lambda: DataLoader(pairs)
    kept = callback(tmp_path / "weights", floor=None)
    fit(module, 2, max_epochs=3, callbacks=[kept])
    metadata = read_metadata(kept.path)
    assert metadata["step"] == str(kept.best["step"])
    assert kept.best["step"] == 2 * kept.best["epoch"]
    assert load_generator(kept.path).scale == 2
    fresh = callback(tmp_path / "weights", floor=99.0)  # no epoch reaches it, and an old file is another run's
    fit(module, 2, max_epochs=1, callbacks=[fresh])
    assert fresh.best is None
    assert not fresh.path.exists()


def test_a_checkpoint_in_another_folder_starts_without_a_best_epoch(make_module, fit, tmp_path):
    kept = callback(tmp_path / "elsewhere")
    kept.load_state_dict({"best": {"epoch": 1, "step": 10, "psnr": 99.0, "lpips": 0.0}, "first_phase": 27.0})
    fit(make_module(psnr_steps=9, gan_steps=0), 1, callbacks=[kept])
    assert kept.best is None


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"measure": "psnr"}, [1]),
        ({"measure": "lpips", "floor": None}, [1, 2, 3]),
        ({"measure": "psnr", "floor": 0.3, "floor_measure": "lpips"}, [2]),
        ({"measure": "psnr", "floor": 0.3, "floor_measure": "lpips", "margin": 0.15}, [1]),
    ],
)
def test_any_measure_can_rank_and_any_can_be_the_floor(tmp_path, settings, taken):
    assert best_of(callback(tmp_path, **settings), TABLE) == taken


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"measure": "dists"}, r"callbacks\.best\.measure=dists.* not compute it, only psnr, ssim, psnr_y, ssim_y"),
        ({"floor_measure": "lpips"}, r"callbacks\.best\.floor_measure=lpips.*or floor=null"),
    ],
)
def test_measures_outside_the_protocol_are_rejected_at_the_start(make_module, fit, tmp_path, settings, says):
    with pytest.raises(FacehallError, match=says):
        fit(make_module(psnr_steps=9, gan_steps=0), 1, callbacks=[callback(tmp_path, **settings)])


def test_impossible_floors_are_refused(make_module, fit, tmp_path):
    with pytest.raises(ValueError, match=r"floor must be bicubic, PHASE_phase \(psnr_phase\).*'bicubik'"):
        callback(tmp_path, floor="bicubik")
    with pytest.raises(FacehallError, match=r"callbacks\.best\.floor=psnr_phase"):
        fit(make_module(psnr_steps=0, gan_steps=9), 1, callbacks=[callback(tmp_path, floor="psnr_phase")])
