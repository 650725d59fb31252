"""Training of networks of luma or of the bicubic image: inputs, targets, losses, validation and the compile trial."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from facehall.imaging import upscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.losses import LossTerm, PyramidPixelLoss
from facehall.metrics import Protocol
from facehall.models.generators import Generator
from facehall.systems import as_rgb
from facehall.training import Curriculum
from facehall.training.callbacks import Compile
from facehall.training.callbacks.compile import networks
from facehall.training.curriculum import Phase

PIXEL = Curriculum([Phase("psnr", 4, {"pixel": 1})])


class Small(Generator):
    """One convolution, added to the input; enlarges by repetition if it gets the LR image."""

    scale = 2

    def __init__(self, input, colour):
        super().__init__()
        self.input, self.colour, self.arguments = input, colour, {}
        channels = 1 if colour == "y" else 3
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)

    def pyramid(self, lr, up_to=None):
        x = lr if self.input == "bicubic" else lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return {2: x + self.conv(x)}


class Recorder(LossTerm):
    """Keeps what a pixel loss gets."""

    needs = ("outputs.pyramid", "batch.hr")

    def forward(self, outputs, batch):
        self.sr, self.hr = outputs["sr"].detach(), batch["hr"]
        return PyramidPixelLoss("mse")(outputs, batch)


class Pictures(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        hr = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(index))
        return {"lr": nn.functional.avg_pool2d(hr, 2), "hr": hr, "name": str(index)}


@pytest.fixture(params=[("bicubic", "y"), ("lr", "y"), ("bicubic", "rgb")], ids="-".join)
def small(request):
    return Small(*request.param)


def test_loss_and_target_have_the_networks_colour(make_module, fit, small):
    recorder = Recorder()
    only_pixel = {"discriminator": None, "discriminator_losses": {}, "curriculum": PIXEL}
    module = make_module(generator=small, losses={"pixel": recorder}, **only_pixel)
    fit(module, 1)
    batch = next(iter(module.trainer.train_dataloader))
    lr, hr = batch["lr"], batch["hr"]
    if small.colour == "y":
        lr, hr = rgb_to_y(lr), rgb_to_y(hr)
    enlarged = (
        upscale_bicubic(lr, 2) if small.input == "bicubic" else lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    )
    torch.testing.assert_close(recorder.hr, hr.expand(-1, 3, -1, -1))
    torch.testing.assert_close(recorder.sr, enlarged.expand(-1, 3, -1, -1))
    logged = module.trainer.callback_metrics["train/pixel"]
    torch.testing.assert_close(logged, (enlarged - hr).square().mean(), rtol=1e-4, atol=0)


def test_validation_measures_rgb_images(make_module, small):
    nn.init.normal_(small.conv.weight, std=0.1)
    module = make_module(generator=small, ema_decay=0.0)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    (logged,) = trainer.validate(module, DataLoader(Pictures(), 1), verbose=False)
    expected = []
    for batch in DataLoader(Pictures(), 1):
        with torch.no_grad():
            sr = as_rgb(small.eval())(batch["lr"])
        assert sr.shape == (1, 3, 24, 24)
        expected.append(Protocol(2).measure(sr, batch["hr"]))
    for name in ("psnr", "ssim", "psnr_y", "ssim_y"):
        mean = sum(float(values[name]) for values in expected) / 3
        assert logged[f"val/{name}"] == pytest.approx(mean, abs=1e-4)


def test_an_identity_of_luma_is_the_bicubic_image(make_module):
    module = make_module(generator=Small("bicubic", "y"))
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    (logged,) = trainer.validate(module, DataLoader(Pictures(), 1), verbose=False)
    assert logged["val/psnr"] == pytest.approx(logged["val/bicubic_psnr"], abs=0.01)
    assert logged["val/psnr_gain"] == pytest.approx(0, abs=0.01)


def test_perceptual_loss_and_gan_work_on_luma(make_module, fit, small):
    module = make_module(generator=small)
    before = [p.clone() for network in (small, module.discriminator) for p in network.parameters()]
    fit(module, 6)
    assert module.generator_step == 6
    after = [p for network in (small, module.discriminator) for p in network.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))


def test_the_compile_trial_gives_a_network_its_own_input(make_module, small):
    module = make_module(generator=small)
    trainer = SimpleNamespace(
        datamodule=SimpleNamespace(batch_size=2, patch_size=8, scale=2),
        precision_plugin=SimpleNamespace(train_step_context=torch.enable_grad),
        strategy=SimpleNamespace(broadcast=lambda value: value, reduce_boolean_decision=lambda value, all: value),
    )
    callback = Compile(min_minutes=0, gain=0, backend="eager")
    callback._choose(networks(module), trainer, module)
    assert callback.chosen["generator"]
    assert "times as fast as eager" in callback.reasons["generator"]
