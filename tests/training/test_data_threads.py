"""Data-parallel threads train as one thread with the whole batch, reproducibly."""

import copy
import math
import time
from functools import partial

import lightning as L
import pytest
import torch
from small import LIGHT, TINY
from torch import nn

from facehall.config.assembly import assemble
from facehall.errors import FacehallError
from facehall.losses import AdversarialLoss, DiscriminatorLoss, LossTerm, PyramidPixelLoss
from facehall.models.discriminators import UNetDiscriminator
from facehall.models.generators import SRResNet3
from facehall.training.data_threads import DataThreads, replicate, slice_batch

DOUBLE = {"precision": "64-true"}
"""Double precision, to tell differences from rounding."""


def state(module):
    return {name: value for name, value in module.state_dict().items() if torch.is_tensor(value)}


def assert_close(ours, theirs, tolerance=1e-12):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=tolerance, atol=tolerance, msg=lambda t, n=name: f"{n}: {t}")


class Record(L.Callback):
    """The logged values of every step."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        names = [name for name in trainer.callback_metrics if name.startswith("train/") and name.endswith("_step")]
        self.rows.append({name: trainer.callback_metrics[name].clone() for name in names})


def sgd(**options):
    # Adam divides by the root of the second moment, which magnifies rounding of gradients close to 0.
    optimizer = partial(torch.optim.SGD, lr=0.01)
    return {"generator_optimizer": optimizer, "discriminator_optimizer": optimizer, **options}


@pytest.mark.parametrize("kind", ["vanilla", "ragan", "hinge"])
def test_two_threads_equal_one_with_the_whole_batch(make_module, fit, kind):
    """With batch norm in both networks, clipping, accumulation and the average."""

    def train(count):
        losses = {"pixel": PyramidPixelLoss(), "adversarial": AdversarialLoss(kind)}
        parts = {"losses": losses, "discriminator_losses": {"adversarial": DiscriminatorLoss(kind)}}
        torch.manual_seed(0)
        parts["generator"] = SRResNet3(scale=2, blocks=1, features=4)
        options = sgd(clip=0.05, accumulate=2, gan={"pixel": 1, "adversarial": 0.5}, data_threads=count)
        record = Record()
        module = make_module(psnr_steps=1, gan_steps=2, **parts, **options)
        return fit(module, 6, callbacks=[record], **DOUBLE), record.rows

    (one, expected), (two, rows) = train(1), train(2)
    assert one.generator_step == two.generator_step == 3
    assert_close(state(two), state(one))
    for ours, theirs in zip(rows, expected, strict=True):
        assert_close(ours, theirs)


def test_spectral_norm_iterates_as_often_as_with_one_thread(make_module, fit):
    def train(count):
        torch.manual_seed(0)
        discriminator = UNetDiscriminator(channels=2)
        return fit(make_module(discriminator=discriminator, psnr_steps=0, data_threads=count, **sgd()), 4, **DOUBLE)

    one, two = train(1), train(2)
    assert any(name.endswith("_u") for name in state(one))
    assert_close(state(two), state(one))


class Stall(nn.Module):
    """Delay one rank's passes by turns, so that the threads finish in different orders."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, images):
        self.calls += 1
        time.sleep(0.003 * (self.calls % 3) * torch.rand(1, generator=torch.Generator().manual_seed(id(self))).item())
        return self.network(images)


def test_two_trainings_are_bit_for_bit_equal(make_module, fit):
    def train():
        module = make_module(data_threads=2, clip=1.0)
        module.discriminator = Stall(module.discriminator)
        return fit(module, 5)

    first, second = train(), train()
    assert all(torch.equal(a, b) for a, b in zip(state(first).values(), state(second).values(), strict=True))


class Spoil(L.Callback):
    """Make one picture of batch 2 NaN: of the second thread's slice."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 2:
            self.before = copy.deepcopy(state(module))
            batch["hr"][1, 0, 0, 0] = math.nan

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 2:
            self.after = copy.deepcopy(state(module))


def test_a_bad_picture_in_one_slice_skips_the_step_of_all(make_module, fit, caplog):
    spoil = Spoil()
    module = fit(make_module(psnr_steps=0, gan_steps=5, data_threads=2), 5, callbacks=[spoil])
    assert module.guard.skipped == 2
    assert "pictures: 4, 5" in caplog.text
    parameters = [name for name, _ in module.named_parameters() if name.startswith(("generator.", "discriminator."))]
    assert all(torch.equal(spoil.before[name], spoil.after[name]) for name in parameters)
    assert all(value.isfinite().all() for value in state(module).values())
    assert any(not torch.equal(spoil.after[name], value) for name, value in state(module).items())


def test_replicas_share_the_parameters_memory_and_nothing_else(make_module):
    live = make_module().passes
    replica = replicate(live)
    for own, other in zip(live.modules, replica.modules, strict=True):
        for (name, p), q in zip(own.named_parameters(), other.parameters(), strict=True):
            assert p is not q, name
            assert p.data_ptr() == q.data_ptr(), name
            assert p.requires_grad == q.requires_grad, name
        assert all(p.data_ptr() != q.data_ptr() for p, q in zip(own.buffers(), other.buffers(), strict=True))
    assert replica.losses["perceptual"].extractor.network.training is False


def test_gradients_are_summed_by_rank_and_the_replicas_cleared(make_module):
    threads = DataThreads(make_module(data_threads=3).passes, 3)
    parameters = [list(passes.generator.parameters()) for passes in threads.passes]
    untouched = parameters[0].pop()
    for rank, each in enumerate(parameters):
        for p in each[: len(parameters[0])]:
            p.grad = torch.full_like(p, 10.0**rank)
    parameters[0][0].grad = None
    threads.sum_gradients("generator")
    threads.close()
    assert parameters[0][0].grad.unique().tolist() == [110.0]
    assert {p.grad.unique().item() for p in parameters[0][1:]} == {111.0}
    assert untouched.grad is None
    assert all(p.grad is None for each in parameters[1:] for p in each)


def test_slices_are_views_and_include_annotations():
    batch = {"lr": torch.rand(4, 3, 2, 2), "identity": torch.arange(4), "name": list("abcd")}
    first, second = slice_batch(batch, 2)
    assert first["lr"].data_ptr() == batch["lr"].data_ptr()
    assert second["identity"].tolist() == [2, 3]
    assert second["name"] == ["c", "d"]
    with pytest.raises(FacehallError, match=r"runtime\.data_threads=3 does not divide a batch of 4"):
        slice_batch(batch, 3)


class Noisy(LossTerm):
    def forward(self, outputs, batch):
        return (outputs["sr"] * torch.rand_like(outputs["sr"])).mean()


def test_random_numbers_in_a_step_are_refused(make_module, fit):
    options = {"losses": {"pixel": Noisy()}, "gan": {"pixel": 1}, "discriminator": None, "trains": ("generator",)}
    assert fit(make_module(**options), 1).generator_step == 1
    with pytest.raises(FacehallError, match=r"runtime\.data_threads=2: a network or loss term draws random numbers"):
        fit(make_module(data_threads=2, **options), 1)


def test_an_error_in_a_pass_is_reported_as_with_one_thread(make_module, fit):
    module = make_module(discriminator=UNetDiscriminator(channels=2), psnr_steps=0, data_threads=2)
    module.discriminator.first = nn.Conv2d(4, 2, 3)
    with pytest.raises(RuntimeError, match="to have 4 channels"):
        fit(module, 1)


class WrongNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)


def test_unsupported_settings_are_refused(make_module):
    with pytest.raises(ValueError, match=r"runtime\.data_threads must be a number of threads, at least 1, not 0"):
        make_module(data_threads=0)
    with pytest.raises(ValueError, match="norm of the discriminator is a BatchNorm1d"):
        make_module(discriminator=WrongNorm(), data_threads=2)
    assert isinstance(make_module(discriminator=WrongNorm()).discriminator.norm, nn.BatchNorm1d)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["runtime.data_threads=3"], r"runtime\.data_threads=3 does not divide patches\.batch_size=2"),
        (["runtime.compile=true"], r"runtime\.data_threads=2 excludes runtime\.compile=true"),
        (["trainer=ddp_cpu"], r"runtime\.data_threads=2 is for one process, and this training has 2"),
    ],
)
def test_settings_that_exclude_each_other_are_reported(compose_config, tmp_path, overrides, message):
    options = [*TINY, *LIGHT, "runtime.data_threads=2", f"run_dir={tmp_path}", *overrides]
    with pytest.raises(FacehallError, match=message):
        assemble(compose_config("train", *options))
