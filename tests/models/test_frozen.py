"""Frozen networks are excluded from training and checkpoints."""

import torch
from torch import nn

from facehall.models.frozen import Frozen


class Owner(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Linear(2, 2)
        self.helper = Frozen(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))


def test_absent_from_the_state_dict_and_not_reported_missing():
    owner = Owner()
    assert set(owner.state_dict()) == {"own.weight", "own.bias"}
    Owner().load_state_dict(owner.state_dict(), strict=True)


def test_a_tensor_with_two_names_is_not_reported_missing():
    owner = Owner()
    owner.helper.network.again = owner.helper.network[0]
    owner.load_state_dict(owner.state_dict(), strict=True)


def test_other_missing_keys_are_still_reported():
    incompatible = Owner().load_state_dict({"own.weight": torch.zeros(2, 2)}, strict=False)
    assert incompatible.missing_keys == ["own.bias"]


def test_never_in_train_mode_nor_with_gradients():
    owner = Owner().train()
    assert owner.training
    assert not any(module.training for module in owner.helper.modules())
    assert not any(p.requires_grad for p in owner.helper.parameters())
