"""Each optimizer inside a training: resumption bit by bit, skipped steps, phases, and mistakes in the config."""

from functools import partial

import lightning as L
import pytest
import torch

from facehall.errors import FacehallError
from facehall.losses import PyramidPixelLoss
from facehall.training import Curriculum
from facehall.training.curriculum import Phase
from facehall.training.optimizers import SOAP, ClippedSGD, Lion, Muon, ScheduleFreeAdamW
from facehall.training.schedulers import phased

FACTORIES = {
    "muon": partial(Muon, lr=1e-3, muon_lr=0.02),
    "soap": partial(SOAP, lr=1e-3, frequency=2),
    "lion": partial(Lion, lr=1e-3),
    "sgd": partial(ClippedSGD, lr=0.3, clip=0.03, bias_rate=0.5, last_rate=0.5),
    "schedule_free": partial(ScheduleFreeAdamW, lr=1e-3),
}
each_optimizer = pytest.mark.parametrize("name", FACTORIES)


@pytest.fixture
def make(make_module):
    """A module of two phases with one optimizer for both networks; the rates warm up and fall."""

    def build(name, psnr_steps=3, gan_steps=3, **parts):
        both = {f"{network}_optimizer": FACTORIES[name] for network in ("generator", "discriminator")}
        module = make_module(psnr_steps=psnr_steps, gan_steps=gan_steps, clip=0.5, **both, **parts)
        module.factories = tuple(
            (optimizer, partial(phased, phases=module.curriculum.schedule(network), shape="trapezoid", warmup=1))
            for network, (optimizer, _) in zip(("generator", "discriminator"), module.factories, strict=True)
        )
        return module

    return build


def quiet_trainer(max_epochs):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(max_epochs=max_epochs, accelerator="cpu", **quiet)


def equal(one, other):
    """Whether two states are equal bit by bit, through dicts, lists and numbers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@each_optimizer
@pytest.mark.parametrize("psnr_steps", [2, 3])  # stopped within a phase, and between two
def test_resumed_equals_uninterrupted(make, fit, tmp_path, name, psnr_steps):
    class Save(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            if module.generator_step == 3:
                trainer.save_checkpoint(tmp_path / "saved.ckpt")

    whole = fit(make(name, psnr_steps), 3, max_epochs=2, callbacks=[Save()])
    resumed = make(name, psnr_steps)
    for network in (resumed.generator, resumed.ema, resumed.discriminator):  # all must come from the checkpoint
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    trainer = quiet_trainer(max_epochs=2)
    loader = whole.trainer.train_dataloader
    trainer.fit(resumed, loader, ckpt_path=tmp_path / "saved.ckpt", weights_only=True)
    assert resumed.generator_step == whole.generator_step == 6
    assert equal(dict(resumed.state_dict()), dict(whole.state_dict()))
    for ours, theirs in zip(trainer.optimizers, whole.trainer.optimizers, strict=True):
        assert equal(ours.state_dict(), theirs.state_dict())


@each_optimizer
def test_a_step_with_a_bad_gradient_is_skipped(make, fit, name):
    class Spoil(L.Callback):
        def on_before_zero_grad(self, trainer, module, optimizer):
            assert all(value.isfinite().all() for state in optimizer.state.values() for value in tensors(state))

        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            if batch_idx in (1, 4):
                batch["hr"][:] = torch.nan

    module = fit(make(name), 6, callbacks=[Spoil()])
    assert module.guard.skipped == 3  # the generator's twice, the discriminator's once
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def tensors(state):
    for value in state.values():
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if each is not None)


@each_optimizer
def test_schedules_scale_all_groups_alike(make, fit, name):
    module = fit(make(name, psnr_steps=5, gan_steps=0), 5)
    (optimizer, _) = module.trainer.optimizers
    ratios = {round(group["lr"] / group["initial_lr"], 9) for group in optimizer.param_groups}
    assert ratios == {0.01}  # the floor


@each_optimizer
def test_the_loss_falls(make_module, fit, name):
    """On noise to be enlarged: the floor is high, but every optimizer must get closer to it."""
    module = make_module(psnr_steps=25, gan_steps=0, generator_optimizer=FACTORIES[name], generator_scheduler=None)
    data = {"lr": torch.rand(2, 3, 8, 8), "hr": torch.rand(2, 3, 16, 16)}

    def loss():
        with torch.no_grad():
            return PyramidPixelLoss()({"pyramid": module.generator.pyramid(data["lr"])}, data).item()

    class SameBatch(L.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            batch |= data

    before = loss()
    fit(module, 25, callbacks=[SameBatch()])
    assert loss() < 0.99 * before


def test_a_phase_sets_options_of_every_group_and_the_next_resets_them(make_module, fit):
    curriculum = Curriculum(
        [Phase("a", 1, {"pixel": 1}, optimizer={"generator": {"momentum": 0.5, "betas": [0.1, 0.2]}}),
         Phase("b", 1, {"pixel": 1})]
    )  # fmt: skip
    seen = []

    class Look(L.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            seen.append([(group["momentum"], group["betas"]) for group in optimizer.param_groups])

    parts = {"curriculum": curriculum, "discriminator": None, "losses": {"pixel": PyramidPixelLoss()}}
    fit(make_module(generator_optimizer=FACTORIES["muon"], generator_scheduler=None, **parts), 2, callbacks=[Look()])
    assert seen == [[(0.5, (0.1, 0.2))] * 2, [(0.95, (0.9, 0.99))] * 2]


def test_an_unknown_option_of_a_phase_is_refused(make_module, fit):
    curriculum = Curriculum([Phase("a", 1, {"pixel": 1}, optimizer={"generator": {"momentun": 0.5}})])
    parts = {"curriculum": curriculum, "discriminator": None, "losses": {"pixel": PyramidPixelLoss()}}
    message = r"curriculum\.a\.optimizer\.generator: Muon has no setting momentun; it has betas, eps, weight_decay, mom"
    with pytest.raises(FacehallError, match=message):
        fit(make_module(generator_optimizer=FACTORIES["muon"], generator_scheduler=None, **parts), 1)


@pytest.mark.parametrize(
    ("factories", "message"),
    [
        ({"generator_optimizer": partial(Muon, momentun=1)}, r"optimizer\.generator: .*momentun"),
        ({"generator_optimizer": partial(Muon, momentum=2)}, r"optimizer\.generator: momentum must be in \[0, 1\)"),
        ({"discriminator_optimizer": partial(Lion, lr=-1)}, r"optimizer\.discriminator: lr must be at least 0"),
        ({"generator_scheduler": partial(phased, phases=(), peak=1)}, r"scheduler\.generator: .*peak"),
    ],
)
def test_mistakes_in_the_config_are_named(make_module, fit, factories, message):
    with pytest.raises(FacehallError, match=message):
        fit(make_module(**factories), 1)


def test_a_checkpoint_of_another_optimizer_is_refused(make, fit, tmp_path):
    module = fit(make("lion"), 1)
    module.trainer.save_checkpoint(tmp_path / "lion.ckpt")
    trainer = quiet_trainer(max_epochs=1)
    with pytest.raises(FacehallError, match=r"written with optimizer=Lion, Lion, but this training has Muon, Muon"):
        trainer.fit(make("muon"), module.trainer.train_dataloader, ckpt_path=tmp_path / "lion.ckpt", weights_only=True)
