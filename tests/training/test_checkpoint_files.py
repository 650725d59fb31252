"""Checkpoints of other versions and networks are refused before a training builds on them."""

from types import SimpleNamespace

import pytest
import torch

from facehall.errors import FacehallError
from facehall.losses import PyramidPixelLoss
from facehall.training.checkpointing.files import CHECKPOINT_FORMAT, check_checkpoint


@pytest.fixture
def checkpoint(make_module, tmp_path):
    def write(**changes):
        module = make_module()
        held = {"state_dict": module.state_dict(), "format": CHECKPOINT_FORMAT} | changes
        torch.save({key: value for key, value in held.items() if value is not None}, tmp_path / "last.ckpt")
        return tmp_path / "last.ckpt", module

    return write


def test_own_checkpoints_are_accepted_and_carry_the_format(checkpoint):
    path, module = checkpoint()
    check_checkpoint(path, module)
    saved = {}
    module.trainer = SimpleNamespace(optimizers=[])
    module.on_save_checkpoint(saved)
    assert saved["format"] == CHECKPOINT_FORMAT


@pytest.mark.parametrize("other", [None, 99])
def test_checkpoints_of_another_version_are_refused(checkpoint, other):
    with pytest.raises(FacehallError, match=r"last\.ckpt: another version .*init=RUN/weights/generator_ema"):
        check_checkpoint(*checkpoint(format=other))


def test_checkpoints_of_another_network_are_refused(checkpoint, make_module):
    path, _ = checkpoint()
    parts = {"discriminator": None, "losses": {"pixel": PyramidPixelLoss()}, "trains": ("generator",)}
    without_discriminator = make_module(gan={"pixel": 1}, **parts)
    with pytest.raises(FacehallError, match="belongs to another network"):
        check_checkpoint(path, without_discriminator)
