"""The curriculum: phases, ramps, and learning rates at every step."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facehall.losses import TermWeights
from facehall.training import Curriculum
from facehall.training.schedulers import phased_cosine

PSNR, GAN = TermWeights(1.0, 0.0, 0.0), TermWeights(0.2, 1.0, 0.1)


def test_phases_and_ends():
    curriculum = Curriculum(psnr_steps=10, gan_steps=6, ramp_steps=4)
    assert curriculum.total_steps == 16
    assert [curriculum.phase(step) for step in (0, 9, 10, 15)] == ["psnr", "psnr", "gan", "gan"]
    assert curriculum.weights(9, PSNR, GAN) == PSNR
    assert curriculum.weights(13, PSNR, GAN) == GAN


def test_linear_ramp_by_hand():
    curriculum = Curriculum(psnr_steps=2, gan_steps=8, ramp_steps=4)
    assert [curriculum.share(step) for step in range(1, 7)] == [0, 0.25, 0.5, 0.75, 1, 1]


def test_the_ramp_waits_for_the_discriminators_warm_up():
    curriculum = Curriculum(psnr_steps=2, gan_steps=8, ramp_steps=2, warmup_steps=3)
    assert [curriculum.share(step) for step in range(1, 8)] == [0, 0, 0, 0, 0.5, 1, 1]
    assert curriculum.weights(4, PSNR, GAN) == PSNR
    assert curriculum.phase(2) == "gan"


def test_cosine_ramp_by_hand():
    curriculum = Curriculum(psnr_steps=0, gan_steps=4, ramp_steps=4, ramp="cosine")
    assert curriculum.share(1) == pytest.approx(0.5)
    assert curriculum.share(0) == pytest.approx((1 - math.cos(math.pi / 4)) / 2)


@given(
    psnr=st.integers(0, 50),
    gan=st.integers(1, 50),
    share=st.floats(0, 1),
    ramp=st.sampled_from(["linear", "cosine"]),
)
def test_the_ramp_rises_from_0_to_1(psnr, gan, share, ramp):
    curriculum = Curriculum(psnr, gan, int(share * gan), ramp)
    shares = [curriculum.share(step) for step in range(curriculum.total_steps)]
    assert shares == sorted(shares)
    assert all(s == 0 for s in shares[:psnr])
    assert shares[-1] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"psnr_steps": 0},
        {"psnr_steps": -1},
        {"psnr_steps": 1, "gan_steps": 2, "ramp_steps": 3},
        {"psnr_steps": 1, "gan_steps": 3, "ramp_steps": 2, "warmup_steps": 2},
        {"psnr_steps": 1, "ramp": "s"},
    ],
)
def test_impossible_curricula_are_refused(arguments):
    with pytest.raises(ValueError, match="curriculum"):
        Curriculum(**arguments)


def test_learning_rate_at_each_step():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = phased_cosine(optimizer, psnr_steps=10, gan_steps=4, gan_factor=0.5, floor=0.1)
    rates = []
    for _ in range(16):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.1 * (0.1 + 0.9 / 2))
    assert rates[10] == pytest.approx(0.05)  # the second phase starts anew, at half the rate
    assert rates[12] == pytest.approx(0.05 * (0.1 + 0.9 / 2))
    assert rates[14] == rates[15] == pytest.approx(0.005)  # past the end it stays
