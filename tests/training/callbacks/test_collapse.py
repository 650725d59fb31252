"""The collapse watch: no warning on good images; colour drift, checkerboarding and dominance are reported."""

from functools import partial

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from facehall.errors import FacehallError
from facehall.training.callbacks import CollapseWatch
from facehall.training.callbacks.collapse import measures, sums


class Photographs(Dataset):
    """Smooth pictures, large enough for the checkerboard measure at x2."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        torch.manual_seed(index)
        hr = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), 64, mode="bicubic").clamp(0, 1)[0]
        return {"lr": torch.nn.functional.avg_pool2d(hr, 2), "hr": hr, "name": str(index)}


class Spoil(L.Callback):
    """Add something to the averaged generator's images in the given epochs."""

    def __init__(self, change, epochs):
        self.change, self.epochs = change, epochs

    def on_validation_epoch_start(self, trainer, module):
        generator, now = module.ema.generator, trainer.current_epoch in self.epochs
        generator._forward_hooks.clear()
        if now:
            generator.register_forward_hook(lambda network, inputs, sr: sr + self.change(sr))


def drift(sr):
    return torch.tensor([8.0, 0.0, -2.0])[:, None, None] / 255


def dots(sr):
    pattern = torch.zeros_like(sr)
    pattern[..., ::2, ::2] = 4 / 255
    return pattern


@pytest.fixture
def watch(make_module, fit, capsys):
    """Train two steps per epoch, validate, and return the measures of each epoch and the console output."""

    def run(change=None, epochs=(), max_epochs=2, **settings):
        seen = []

        class Record(L.Callback):
            def on_train_epoch_end(self, trainer, module):
                seen.append({name: float(value) for name, value in trainer.callback_metrics.items()})

        spoil = [Spoil(change, epochs)] if change else []
        module = make_module(psnr_steps=1, gan_steps=99, generator_optimizer=partial(torch.optim.Adam, lr=1e-6))
        module.val_dataloader = lambda: DataLoader(Photographs())
        fit(module, 2, max_epochs=max_epochs, callbacks=[*spoil, Record(), CollapseWatch(**settings)])
        return seen, capsys.readouterr().out

    return run


def test_good_images_raise_no_warning(watch):
    seen, output = watch()
    assert output == ""
    assert seen[-1]["val/color_drift"] < 1
    assert seen[-1]["val/checkerboard"] < 0.3
    assert "train/D_gap" in seen[-1]


def test_colour_drift_is_measured_and_reported_once(watch):
    seen, output = watch(drift, epochs=(1, 2), max_epochs=3)
    assert seen[1]["val/color_drift"] == pytest.approx(8, abs=1)
    assert seen[1]["val/color_drift_blue"] == pytest.approx(-2, abs=1)
    assert output.count("colour drift: ") == 1
    assert output.startswith("epoch 2: colour drift: SR differs from HR by red +")


def test_the_warning_is_repeated_after_a_recovery(watch):
    _, output = watch(drift, epochs=(0, 2), max_epochs=3)
    assert output.count("colour drift: ") == 2


def test_checkerboarding_is_measured_and_reported(watch):
    seen, output = watch(dots, epochs=(1,))
    assert seen[1]["val/checkerboard"] == pytest.approx(4 * 3**0.5 / 4, abs=0.3)  # of a dot in four pixels
    assert "checkerboarding: a grid of dots of 1." in output


def test_discriminator_dominance_is_reported(watch):
    _, output = watch(gap=-100.0)
    assert "discriminator dominance: " in output
    assert "optimizer.discriminator.lr" in output


def test_stop_is_an_error_with_advice(watch):
    with pytest.raises(FacehallError, match=r"epoch 2: checkerboarding: .*limit 0\.75.*stop=true.*curriculum\.gan"):
        watch(dots, epochs=(1,), stop=True)


def test_no_warning_without_a_limit(watch):
    _, output = watch(dots, epochs=(1,), checkerboard=None)
    assert output == ""


def test_a_grid_in_hr_does_not_count_against_sr():
    """Such as the blocks of a JPEG file, which SR may reproduce."""
    hr = torch.full((1, 3, 64, 64), 0.5)
    hr[..., ::2, ::2] += 4 / 255
    assert measures(sums(hr, hr, 2))["checkerboard"] == 0


def test_small_images_have_no_checkerboard_measure():
    images = torch.rand(2, 3, 12, 12)
    assert "checkerboard" not in measures(sums(images, images, 2))
    mixed = sums(images, images, 2) + sums(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), 2)
    assert measures(mixed)["checkerboard"] >= 0
