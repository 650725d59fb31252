"""A training small enough for a test: noise patches, tiny networks, no pretrained weights."""

from functools import partial

import lightning as L
import pytest
import torch
from small import TINY_NETWORK
from torch import nn
from torch.utils.data import DataLoader, Dataset

from facehall.losses import AdversarialLoss, DiscriminatorLoss, PerceptualLoss, PyramidPixelLoss
from facehall.metrics import Protocol
from facehall.models.discriminators import PaperDiscriminator
from facehall.models.generators import MultiScaleRRDB
from facehall.training import Curriculum, SuperResolution
from facehall.training.curriculum import Phase
from facehall.training.schedulers import phased


class Edges(nn.Module):
    """A stand-in for VGG16: one fixed convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        return {"edges": self.conv(images)}


class NoisePatches(Dataset):
    def __init__(self, count, side):
        self.count, self.side = count, side

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        lr = torch.rand(3, self.side, self.side, generator=generator)
        hr = torch.rand(3, 2 * self.side, 2 * self.side, generator=generator)
        return {"lr": lr, "hr": hr, "name": str(index)}


@pytest.fixture
def make_module():
    """A module at x2 with 16x16 HR patches; keyword arguments replace its parts."""

    def make(psnr_steps=2, gan_steps=4, ramp=0, warmup=0, gan=None, trains=("generator", "discriminator"), **parts):
        torch.manual_seed(0)
        gan = {"pixel": 1, "perceptual": 0.1, "adversarial": 0.1} if gan is None else gan
        curriculum = Curriculum(
            [
                Phase("psnr", psnr_steps, {"pixel": 1}),
                Phase("gan", gan_steps, gan, trains=trains, ramp=ramp, warmup=warmup),
            ]
        )
        defaults = {
            "generator": MultiScaleRRDB(scale=2, **TINY_NETWORK),
            "discriminator": PaperDiscriminator(16, channels=4),
            "losses": {
                "pixel": PyramidPixelLoss(),
                "perceptual": PerceptualLoss(Edges(), {"edges": 1.0}),
                "adversarial": AdversarialLoss(),
            },
            "discriminator_losses": {"adversarial": DiscriminatorLoss()},
            "curriculum": curriculum,
            "protocol": Protocol(2),
            "generator_optimizer": partial(torch.optim.Adam, lr=1e-3),
            "discriminator_optimizer": partial(torch.optim.Adam, lr=1e-3),
            "generator_scheduler": partial(phased, phases=curriculum.schedule("generator")),
            "discriminator_scheduler": partial(phased, phases=curriculum.schedule("discriminator")),
            "ema_decay": 0.9,
        }
        return SuperResolution(**{**defaults, **parts})

    return make


@pytest.fixture
def fit():
    """Train a module for a number of batches of two patches, with optional callbacks."""

    def run(module, batches, **trainer):
        loader = DataLoader(NoisePatches(2 * batches, 8), batch_size=2)
        options = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
        options |= {
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            **trainer,
        }
        L.Trainer(**options).fit(module, loader)
        return module

    return run
