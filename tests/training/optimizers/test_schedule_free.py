"""Schedule-free AdamW against its algorithm, and its average in place of the EMA."""

import math
from functools import partial

import pytest
import torch
from optimizer_steps import convolutions, random_gradients

from facehall.training.optimizers import ScheduleFreeAdamW
from facehall.training.schedulers import phased


def test_steps_by_hand():
    network = convolutions(dtype=torch.float64)
    optimizer = ScheduleFreeAdamW(network, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.5)
    weight = network[1].weight
    x = y = z = weight[2, 1, 0, 1].item()
    v = total = 0.0
    for t, rate in enumerate((0.05, 0.1, 0.1, 0.1), start=1):
        for group in optimizer.param_groups:
            group["lr"] = rate
        random_gradients(network, t)
        g = weight.grad[2, 1, 0, 1].item()
        optimizer.step()
        v = 0.9 * v + 0.1 * g * g
        r = rate * math.sqrt(1 - 0.9**t)
        z = z - r * g / (math.sqrt(v) + 1e-3) - r * 0.5 * y
        total += r * r
        c = r * r / total
        x = (1 - c) * x + c * z
        y = 0.2 * z + 0.8 * x
    torch.testing.assert_close(weight[2, 1, 0, 1].item(), y)
    torch.testing.assert_close(optimizer.average(weight)[2, 1, 0, 1].item(), x)
    assert abs(x - y) > 1e-4


def test_a_rate_of_0_changes_nothing():
    network = convolutions()
    optimizer = ScheduleFreeAdamW(network, lr=0.0)
    before = network[1].weight.detach().clone()
    random_gradients(network, 0)
    optimizer.step()
    assert torch.equal(network[1].weight, before)
    assert torch.equal(optimizer.average(network[1].weight), before)


def test_a_restarted_average_forgets_what_was_before():
    network = convolutions()
    optimizer = ScheduleFreeAdamW(network, lr=0.1)
    weight = network[1].weight
    assert optimizer.average(weight) is weight  # no step yet
    for step in range(3):
        random_gradients(network, step)
        optimizer.step()
    assert not torch.allclose(optimizer.average(weight), optimizer.state[weight]["fast"])
    optimizer.restart_average()
    random_gradients(network, 3)
    optimizer.step()
    torch.testing.assert_close(optimizer.average(weight), optimizer.state[weight]["fast"])


@pytest.fixture
def schedule_free(make_module):
    def make(**parts):
        module = make_module(generator_optimizer=partial(ScheduleFreeAdamW, lr=1e-2), **parts)
        constant = partial(phased, phases=module.curriculum.schedule("generator"), shape="constant", warmup=2)
        module.factories = ((module.factories[0][0], constant), module.factories[1])
        return module

    return make


def test_the_average_is_validated_in_place_of_the_ema(schedule_free, fit):
    module = fit(schedule_free(psnr_steps=3, gan_steps=2), 5)
    (optimizer, _), live = module.trainer.optimizers, module.generator
    for averaged, parameter in zip(module.ema.generator.parameters(), live.parameters(), strict=True):
        assert torch.equal(averaged, optimizer.average(parameter))
    moved = [not torch.equal(a, b) for a, b in zip(module.ema.generator.parameters(), live.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2


def test_the_average_restarts_with_each_phase(schedule_free, fit):
    """After the first step of the second phase it is that step's weights; the weight of the first phase is gone."""
    module = fit(schedule_free(psnr_steps=3, gan_steps=2), 4)
    (optimizer, _) = module.trainer.optimizers
    weight = module.generator.first.weight
    torch.testing.assert_close(optimizer.average(weight), optimizer.state[weight]["fast"])
    module = fit(schedule_free(psnr_steps=4, gan_steps=2), 4)
    (optimizer, _), weight = module.trainer.optimizers, module.generator.first.weight
    assert not torch.allclose(optimizer.average(weight), optimizer.state[weight]["fast"])
