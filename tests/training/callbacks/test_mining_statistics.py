"""mining/…: the statistics of an epoch from its batches."""

from types import SimpleNamespace

import pytest
import torch

from facehall.training.callbacks import MiningStatistics


def test_statistics_of_an_epoch_by_hand():
    logged, module = {}, SimpleNamespace(device=torch.device("cpu"))
    module.log_dict = lambda values, **options: logged.update({name: float(value) for name, value in values.items()})
    trainer = SimpleNamespace(world_size=1, logger=None, is_global_zero=True)
    statistics = MiningStatistics()
    for rejections, flatness in (([0.0, 3.0], [0.0, 0.1]), ([1.0, 2.0], [0.2, 0.3]), ([0.0, 0.0], [0.4, 0.5])):
        batch = {"rejections": torch.tensor(rejections), "flatness": torch.tensor(flatness)}
        batch["threshold"] = torch.tensor([0.04, 0.04])
        statistics.on_train_batch_end(trainer, module, None, batch, 0)
    statistics.on_train_epoch_end(trainer, module)
    assert logged == pytest.approx(
        {
            "mining/threshold": 0.04,
            "mining/rejections": 1.0,
            "mining/rejection_rate": 6 / 12,
            "mining/flatness": 0.25,
            "mining/flatness_p10": 0.05,
            "mining/flatness_p50": 0.25,
            "mining/flatness_p90": 0.45,
        }
    )
    logged.clear()
    statistics.on_train_batch_end(trainer, module, None, {"lr": None}, 0)  # a batch without mining statistics
    statistics.on_train_epoch_end(trainer, module)
    assert logged == {}
