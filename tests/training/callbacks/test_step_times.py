"""Step times: each batch counts for the phase of its step, and the file holds times of whole steps."""

import json

import pytest

from facehall.training.callbacks import StepTimes


def test_batches_of_an_accumulated_step_count_for_its_phase(make_module, fit, tmp_path):
    timer = StepTimes(tmp_path, skip=0)
    fit(make_module(psnr_steps=1, gan_steps=1, accumulate=4), 8, callbacks=[timer])
    assert {phase: len(times) for phase, times in timer._batches.items()} == {"psnr": 4, "gan": 4}
    written = json.loads((tmp_path / "step_times.json").read_text())
    assert written["phases"] == {phase: pytest.approx(sum(times)) for phase, times in timer._batches.items()}
    assert written["epoch_end"] >= 0


def test_the_first_batches_of_an_epoch_are_not_counted(make_module, fit, tmp_path):
    timer = StepTimes(tmp_path)
    fit(make_module(psnr_steps=8, gan_steps=0), 4, callbacks=[timer], max_epochs=2)
    assert {phase: len(times) for phase, times in timer._batches.items()} == {"psnr": 2 * (4 - 2)}
    assert len(timer._ends) == 2
