"""Measures of a whole validation set: all statistics reach the judge together, epoch after epoch."""

import lightning as L
import torch
from torch.utils.data import DataLoader

from facehall.metrics import Judge, Measure, Protocol
from facehall.metrics.judges.signal import PSNR


class Spread(Judge):
    """Range of the images' levels over the set, and how many images there were; needs the names."""

    measure = Measure("spread", "spread", "lower", needs=("sr_exact", "hr_exact", "name"))
    statistics = 2
    pooled = True

    def forward(self, sr, hr, name):
        return torch.stack((hr.mean((1, 2, 3)), torch.tensor([float(each) for each in name])), 1)

    def of_set(self, statistics):
        assert statistics.shape == (len(statistics), 2)
        assert sorted(statistics[:, 1].tolist()) == [0, 1, 2, 3, 4]
        return statistics[:, 0].max() - statistics[:, 0].min()


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        hr = torch.full((3, 16, 16), index / 10)
        return {"lr": hr[:, ::2, ::2], "hr": hr, "name": str(index)}


def test_the_set_is_pooled_over_batches_and_forgotten_between_epochs(make_module):
    module = make_module(protocol=Protocol(2, [PSNR(), Spread()]))
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    for _ in range(2):
        (found,) = trainer.validate(module, DataLoader(Images(), batch_size=2), verbose=False)
        assert abs(found["val/spread"] - 0.4) < 1e-6
        assert abs(found["val/bicubic_spread"] - 0.4) < 1e-6
        assert "val/psnr_gain" in found
    assert not any("spread" in key for key in module.state_dict())


def test_no_images_are_an_empty_table(make_module):
    """A rank without images gathers nothing, but takes part."""
    module = make_module(protocol=Protocol(2, [PSNR(), Spread()]))
    assert module._rows("spread", []).shape == (0, 2)
