"""Bad batches and gradients: which steps are skipped, what stays intact, when the training ends."""

import copy
import math
from itertools import pairwise

import lightning as L
import pytest
import torch

from facehall.errors import FacehallError
from facehall.models.generators import SRResNet3
from facehall.training.guard import BufferGuard, FiniteGuard, skips_on_device


class Spoil(L.Callback):
    """Write a value into the HR (or LR) images of some batches."""

    def __init__(self, batches, value=math.nan, key="hr"):
        self.batches, self.value, self.key = batches, value, key
        self.before = None

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx in self.batches:
            batch[self.key][0, 0, 0, 0] = self.value
        self.before = full_state(module)


class SpoilGradient(L.Callback):
    """Make a gradient infinite although the loss is finite; on_after_backward runs after each network's backward."""

    def __init__(self, network, batch):
        self.network, self.batch = network, batch

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.now = batch_idx == self.batch

    def on_after_backward(self, trainer, module):
        parameter = next(getattr(module, self.network).parameters())
        if self.now and parameter.grad is not None:
            parameter.grad.view(-1)[0] = math.inf


def full_state(module):
    state = {f"module.{name}": value for name, value in module.state_dict().items() if torch.is_tensor(value)}
    for i, optimizer in enumerate(module.trainer.optimizers):
        for j, moments in enumerate(optimizer.state.values()):
            state |= {f"optimizer{i}.{j}.{name}": value for name, value in moments.items()}
    return copy.deepcopy(state)


class Compare(L.Callback):
    """Record which tensors each batch changed, by the first two parts of their names."""

    def __init__(self, spoil):
        self.spoil, self.changed = spoil, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        after = full_state(module)
        assert all(value.isfinite().all() for value in after.values())
        self.changed.append(
            {
                ".".join(name.split(".")[:2])
                for name, value in after.items()
                if name not in self.spoil.before or not torch.equal(value, self.spoil.before[name])
            }
        )


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["lr", "hr"])
def test_a_bad_batch_leaves_no_trace(make_module, fit, caplog, key, value):
    """Not even in the generator's batch norm, whose statistics the forward pass has already updated."""
    generator = SRResNet3(scale=2, blocks=1, features=4)
    spoil = Spoil({2}, value, key)
    compare = Compare(spoil)
    module = fit(make_module(generator=generator, psnr_steps=0, gan_steps=5), 5, callbacks=[spoil, compare])
    good = {"optimizer0.0", "optimizer1.0", "module.generator", "module.discriminator", "module.ema"}
    assert all(good <= compare.changed[i] for i in (1, 3, 4))
    assert not any(name.startswith("optimizer") for name in compare.changed[2])
    parameters = {name for name, _ in module.named_parameters()}
    assert parameters  # and none of them moved:
    assert module.guard.skipped == 2  # the discriminator's step and the generator's
    assert module.generator_step == 5
    assert "Step 2: the gradient of the generator is not finite" in caplog.text
    assert "pictures: 4, 5)" in caplog.text
    assert "pixel = nan" in caplog.text or "pixel = inf" in caplog.text


def test_the_parameters_of_a_skipped_step_are_those_of_the_step_before(make_module, fit):
    spoil, seen = Spoil({2}), []

    class Look(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            networks = (module.generator, module.discriminator)
            seen.append([p.detach().clone() for network in networks for p in network.parameters()])

    fit(make_module(psnr_steps=0, gan_steps=4), 4, callbacks=[spoil, Look()])
    same = [all(map(torch.equal, a, b)) for a, b in pairwise(seen)]
    assert same == [False, True, False]


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_bad_gradient_stops_its_own_network_only(make_module, fit, caplog, network):
    module = make_module(psnr_steps=0, gan_steps=3)
    fit(module, 3, callbacks=[SpoilGradient(network, 1)])
    assert module.guard.skipped == 1
    assert f"the gradient of the {network} is not finite (although every loss term" in caplog.text
    assert all(p.isfinite().all() for p in module.parameters())


def test_one_bad_batch_skips_the_whole_accumulated_step(make_module, fit):
    module = make_module(psnr_steps=9, gan_steps=0, accumulate=2)
    fit(module, 6, callbacks=[Spoil({2})])
    assert (module.guard.skipped, module.generator_step) == (1, 3)


def test_skipped_steps_are_logged(make_module, fit):
    module = fit(make_module(psnr_steps=5, gan_steps=0), 5, callbacks=[Spoil({1, 3})])
    assert module.trainer.callback_metrics["train/skipped_steps"] == 2


def test_too_many_skips_in_a_row_end_the_training_with_advice(make_module, fit):
    with pytest.raises(FacehallError, match=r"Step 3: the gradient of the generator.*pixel = nan.*pictures: 6, 7") as e:
        fit(make_module(psnr_steps=9, gan_steps=0, max_skips=3), 9, callbacks=[Spoil({1, 2, 3, 4, 5})])
    assert "3 steps in a row were skipped" in str(e.value)
    assert "optimizer.generator.lr" in str(e.value)


def test_a_good_step_resets_the_count(make_module, fit):
    module = fit(make_module(psnr_steps=9, gan_steps=0, max_skips=2), 8, callbacks=[Spoil({1, 3, 5, 7})])
    assert module.guard.skipped == 4


def test_a_checkpoint_keeps_the_number_of_skips(make_module, fit):
    module = fit(make_module(psnr_steps=3, gan_steps=0), 3, callbacks=[Spoil({1})])
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    other = make_module(psnr_steps=3, gan_steps=0)
    other.on_load_checkpoint(checkpoint)
    assert other.guard.skipped == 1
    other.on_load_checkpoint({"generator_step": 3})  # from a version without the count
    assert other.guard.skipped == 0


def test_skips_may_be_found_late(caplog):
    """As on a GPU, where the host only checks from time to time."""
    guard = FiniteGuard(limit=2)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    for number, norm in enumerate((1.0, math.nan, 1.0, math.inf)):
        guard.begin_batch([f"picture{number}"], new_step=True)
        guard.record_terms({"pixel": torch.tensor(norm)})
        assert guard.allows_step("generator", number, torch.tensor(norm), optimizer) == math.isfinite(norm)
    assert guard.skipped == 0
    assert guard.check_pending() == 2
    assert "Step 1:" in caplog.text
    assert "picture1" in caplog.text
    assert "Step 3:" in caplog.text
    guard.allows_step("generator", 4, torch.tensor(math.nan), optimizer)
    with pytest.raises(FacehallError, match=r"Step 4.*2 steps in a row"):
        guard.check_pending()


def test_a_fused_optimizer_skips_the_steps_that_the_guard_flags(monkeypatch):
    """The CPU's fused optimizer stands in for a GPU's: it reads the same attribute."""
    monkeypatch.setattr("facehall.training.guard.skips_on_device", lambda optimizer, device: True)
    weight = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    guard, seen = FiniteGuard(limit=9), []
    for value in (1.0, math.nan, 1.0):
        weight.grad = torch.full((3,), value)
        assert guard.allows_step("generator", 0, weight.grad.norm(), optimizer)
        optimizer.step()
        guard.after_step(optimizer)
        seen.append((weight.detach().clone(), optimizer.state[weight]["step"].item()))
    assert torch.equal(seen[0][0], seen[1][0])
    assert not torch.equal(seen[1][0], seen[2][0])
    assert [step for _, step in seen] == [1, 1, 2]
    assert optimizer.state[weight]["exp_avg"].isfinite().all()
    assert guard.check_pending() == 1


def test_only_fused_optimizers_on_a_gpu_skip_on_the_device():
    parameters = [torch.zeros(1, requires_grad=True)]
    fused, plain = torch.optim.Adam(parameters, fused=True), torch.optim.Adam(parameters)
    assert skips_on_device(fused, torch.device("cuda"))
    assert not skips_on_device(fused, torch.device("cpu"))
    assert not skips_on_device(plain, torch.device("cuda"))


def test_buffers_keep_their_last_finite_values():
    norm = torch.nn.BatchNorm2d(2)
    guard = BufferGuard((norm, None))
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
    guard.restore_nonfinite()
    norm.running_mean.copy_(torch.tensor([3.0, math.nan]))
    guard.restore_nonfinite()
    assert norm.running_mean.tolist() == [3.0, 2.0]


def test_max_skips_of_0_is_rejected(make_module):
    with pytest.raises(ValueError, match=r"training\.max_skips"):
        make_module(max_skips=0)
