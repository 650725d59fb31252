"""The curriculum: phases, ramps, and learning rates at every step."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facehall.training import Curriculum
from facehall.training.curriculum import Phase, build_curriculum
from facehall.training.schedulers import phased

PSNR, GAN = {"pixel": 1.0}, {"pixel": 0.2, "perceptual": 1.0, "adversarial": 0.1}


def two_phases(psnr=10, gan=6, **settings):
    return Curriculum([Phase("psnr", psnr, PSNR), Phase("gan", gan, GAN, **settings)])


def shares(curriculum, steps):
    """The ramp's progress at some steps, read off a weight that goes from 0 to 1."""
    return [curriculum.weights(step).get("perceptual", 0) for step in steps]


def test_phases_and_ends():
    curriculum = two_phases(ramp=4)
    assert curriculum.total_steps == 16
    assert [curriculum.phase(step) for step in (0, 9, 10, 15, 99)] == ["psnr", "psnr", "gan", "gan", "gan"]
    assert [curriculum.steps(name) for name in ("psnr", "gan", "other")] == [10, 6, 0]
    assert [curriculum.end(name) for name in ("psnr", "gan")] == [10, 16]
    assert curriculum.weights(9) == PSNR
    assert curriculum.weights(13) == GAN


def test_linear_ramp_by_hand():
    assert shares(two_phases(2, 8, ramp=4), range(1, 7)) == [0, 0.25, 0.5, 0.75, 1, 1]


def test_the_ramp_waits_for_the_discriminators_warm_up():
    curriculum = two_phases(2, 8, ramp=2, warmup=3)
    assert shares(curriculum, range(1, 8)) == [0, 0, 0, 0, 0.5, 1, 1]
    assert curriculum.phase(2) == "gan"


def test_cosine_ramp_by_hand():
    curriculum = two_phases(0, 4, ramp=4, ramp_shape="cosine")
    assert shares(curriculum, [1, 0]) == pytest.approx([0.5, (1 - math.cos(math.pi / 4)) / 2])


def test_the_ramp_starts_from_the_weights_of_a_phase_without_steps():
    curriculum = two_phases(0, 4, ramp=2)
    assert curriculum.weights(0) == {"pixel": 0.5 * 1 + 0.5 * 0.2, "perceptual": 0.5, "adversarial": 0.05}
    assert [phase.name for phase in curriculum.trained] == ["gan"]


def test_the_first_phase_has_its_own_weights_from_the_first_step_on():
    assert Curriculum([Phase("gan", 4, GAN, warmup=2, ramp=2)]).weights(0) == pytest.approx(GAN)


def test_three_phases():
    curriculum = Curriculum([Phase("a", 2, {"x": 1}), Phase("b", 2, {"y": 1}), Phase("c", 2, {"z": 1}, ramp=2)])
    assert [curriculum.phase(step) for step in range(6)] == list("aabbcc")
    assert curriculum.weights(4) == {"y": 0.5, "z": 0.5}


@given(
    psnr=st.integers(0, 50),
    gan=st.integers(1, 50),
    share=st.floats(0, 1),
    shape=st.sampled_from(["linear", "cosine"]),
)
def test_the_ramp_rises_from_0_to_1(psnr, gan, share, shape):
    curriculum = two_phases(psnr, gan, ramp=int(share * gan), ramp_shape=shape)
    found = shares(curriculum, range(curriculum.total_steps))
    assert found == sorted(found)
    assert all(s == 0 for s in found[:psnr])
    assert found[-1] == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"psnr": 0, "gan": 0}, "no phase has any steps"),
        ({"psnr": -1}, r"curriculum\.psnr\.steps must be a number of steps"),
        ({"gan": 2, "ramp": 3}, r"ramp=3 do not fit into steps=2"),
        ({"gan": 3, "ramp": 2, "warmup": 2}, r"warmup=2 and ramp=2 do not fit"),
        ({"ramp_shape": "s"}, r"curriculum\.gan\.ramp_shape must be linear or cosine"),
        ({"trains": ["teacher"]}, r"curriculum\.gan\.trains must list generator, discriminator"),
        ({"optimizer": {"generator": {"lr": 1}}}, r"cannot set lr: .*scheduler\.NETWORK\.factor"),
        ({"scheduler": {"teacher": {}}}, r"curriculum\.gan\.scheduler accepts only the keys generator and discrimin"),
    ],
)
def test_invalid_curricula_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        two_phases(**settings)


def test_from_a_config():
    curriculum = build_curriculum(a={"steps": 1, "weights": {"x": 1}, "scale": None}, b=None)
    assert curriculum.phases == (Phase("a", 1, {"x": 1}),)
    with pytest.raises(ValueError, match=r"curriculum\.a: unknown key stesp; a phase has steps, weights"):
        build_curriculum(a={"stesp": 1, "steps": 1, "weights": {}})
    with pytest.raises(ValueError, match=r"curriculum\.a\.weights is missing"):
        build_curriculum(a={"steps": 1})
    with pytest.raises(ValueError, match=r"the weight of x must be a number, 0 or more, not 'big'"):
        build_curriculum(a={"steps": 1, "weights": {"x": "big"}})


def test_a_shortened_curriculum_for_trial_runs():
    curriculum = two_phases(10, 20, warmup=5, ramp=10)
    assert curriculum.limited(None) is curriculum
    short = curriculum.limited(2)
    assert [(phase.steps, phase.warmup, phase.ramp) for phase in short.phases] == [(2, 0, 0), (2, 0, 1)]
    assert [phase.steps for phase in curriculum.limited([0, 14]).phases] == [0, 14]
    assert [phase.steps for phase in Curriculum([Phase("psnr", 30, PSNR)]).limited([0, 14]).phases] == [14]


def test_a_term_can_be_removed_from_every_phase():
    curriculum = two_phases().without(["perceptual"])
    assert [dict(phase.weights) for phase in curriculum.phases] == [PSNR, {"pixel": 0.2, "adversarial": 0.1}]


def rates(phases, count, **settings):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = phased(optimizer, phases, **settings)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_learning_rate_at_each_step():
    curriculum = two_phases(10, 4, scheduler={"generator": {"factor": 0.5}})
    found = rates(curriculum.schedule("generator"), 16, floor=0.1)
    assert found[0] == pytest.approx(0.1)
    assert found[5] == pytest.approx(0.1 * (0.1 + 0.9 / 2))
    assert found[10] == pytest.approx(0.05)  # the second phase restarts at half the rate
    assert found[12] == pytest.approx(0.05 * (0.1 + 0.9 / 2))
    assert found[14] == found[15] == pytest.approx(0.005)  # constant past the end


def test_a_network_is_scheduled_over_the_phases_that_train_it():
    curriculum = two_phases(10, 4, trains=["generator", "discriminator"])
    assert [phase.name for phase in curriculum.schedule("discriminator")] == ["gan"]
    found = rates(curriculum.schedule("discriminator"), 5, floor=0.1)
    assert found == pytest.approx([0.1 * (0.1 + 0.9 * (1 + math.cos(math.pi * i / 4)) / 2) for i in range(5)])


def test_shapes_of_a_schedule_and_settings_of_a_phase():
    phases = two_phases(2, 2, scheduler={"generator": {"shape": "constant"}}).schedule("generator")
    assert rates(phases, 4, shape="linear", floor=0.0) == pytest.approx([0.1, 0.05, 0.1, 0.1])
    for settings, message in (({"shape": "cubic"}, "one of cosine, linear, constant"), ({"peak": 1}, "not peak")):
        with pytest.raises(ValueError, match=message):
            rates(two_phases(scheduler={"generator": settings}).schedule("generator"), 1)


def test_a_warm_up_rises_linearly_and_the_shape_starts_after_it():
    phases = two_phases(6, 2).schedule("generator")
    found = rates(phases, 8, shape="linear", floor=0.0, warmup=2)
    assert found == pytest.approx([0.05, 0.1, 0.1, 0.075, 0.05, 0.025, 0.05, 0.1])


def test_a_trapezoid_is_constant_and_then_falls_in_a_straight_line():
    phases = two_phases(10, 5, scheduler={"generator": {"cooldown": 1.0}}).schedule("generator")
    found = rates(phases, 16, shape="trapezoid", floor=0.0, cooldown=0.4)
    assert found[:10] == pytest.approx([0.1] * 7 + [0.075, 0.05, 0.025])
    assert found[10:] == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02, 0.0])
    assert rates(phases[:1], 12, shape="trapezoid", floor=0.1, cooldown=0.4)[9:] == pytest.approx([0.0325, 0.01, 0.01])


def test_a_phase_shorter_than_its_warm_up_only_rises():
    assert rates(two_phases(2, 2).schedule("generator"), 4, warmup=4) == pytest.approx([0.025, 0.05] * 2)


@pytest.mark.parametrize(
    ("settings", "message"), [({"warmup": -1}, "number of steps, 0 or more"), ({"cooldown": 0}, r"in \(0, 1\], not 0")]
)
def test_warm_ups_and_cooldowns_out_of_range_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        rates(two_phases().schedule("generator"), 1, **settings)
