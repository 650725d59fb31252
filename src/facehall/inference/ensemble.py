"""Geometric self-ensemble over flips and rotations."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.inference.tiling.tiles import Network


def self_ensemble(network: Network) -> Network:
    """Average `network` over the square's eight symmetries, each undone on the output.

    Lim et al. (2017), EDSR, sec. 3.4. Eight times the cost; the mean is taken before clamping.
    """

    def ensemble(lr: Tensor) -> Tensor:
        total = None
        for mirrored in (False, True):
            for turns in range(4):
                transformed = torch.rot90(lr.flip(-1) if mirrored else lr, turns, (-2, -1)).contiguous()
                sr = torch.rot90(network(transformed), -turns, (-2, -1))
                sr = sr.flip(-1) if mirrored else sr
                total = sr.clone() if total is None else total.add_(sr)
        assert total is not None
        return total.div_(8)

    return ensemble
