"""ESRGAN's generator, able to load the public x4 checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RRDB, conv3, leaky_relu
from facehall.models.layers.dense import Memory


class RRDBNet(Generator):
    """RRDBNet x4 (Wang et al. 2018): trunk, two nearest + conv upsamplings, two convolutions at full resolution.

    The parameter names are those of the public ESRGAN and Real-ESRGAN x4 checkpoints in their current layout;
    `load_state_dict` accepts the older layouts too.

    Args:
        blocks: T, 23 in the public x4 checkpoints (6 in the "anime" one).
        features: G0.
        growth: G.
        memory: what dense blocks keep for the backward pass, ``efficient``, ``recompute`` or ``naive`` (see `RRDB`).
    """

    scale = 4

    @records_arguments
    def __init__(self, blocks: int = 23, features: int = 64, growth: int = 32, memory: Memory = "efficient") -> None:
        super().__init__()
        self.conv_first = conv3(3, features)
        self.body = nn.Sequential(*(RRDB(features, growth, convs=4, memory=memory) for _ in range(blocks)))
        self.conv_body = conv3(features, features)
        self.conv_up1 = conv3(features, features)
        self.conv_up2 = conv3(features, features)
        self.conv_hr = conv3(features, features)
        self.conv_last = conv3(features, 3)
        self.activation = leaky_relu(inplace=memory != "naive")
        self.register_load_state_dict_pre_hook(_accept_older_layouts)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.conv_first(lr)
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = self.activation(conv(F.interpolate(x, scale_factor=2, mode="nearest")))
        return {4: self.conv_last(self.activation(self.conv_hr(x)))}


# ESRGAN's 2018 release uses the layer names of its script; the previous one and many community models number layers.
_SCRIPT_LAYOUT = (
    (re.compile(r"^RRDB_trunk\.(\d+)\.RDB(\d)\."), r"body.\1.rdb\2."),
    (re.compile(r"^trunk_conv\."), "conv_body."),
    (re.compile(r"^upconv(\d)\."), r"conv_up\1."),
    (re.compile(r"^HRconv\."), "conv_hr."),
)
_NUMBERED_LAYOUT = (
    (re.compile(r"^model\.0\."), "conv_first."),
    (re.compile(r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\."), r"body.\1.rdb\2.conv\3."),
    (re.compile(r"^model\.1\.sub\.\d+\.(weight|bias)$"), r"conv_body.\1"),
    (re.compile(r"^model\.3\."), "conv_up1."),
    (re.compile(r"^model\.6\."), "conv_up2."),
    (re.compile(r"^model\.8\."), "conv_hr."),
    (re.compile(r"^model\.10\."), "conv_last."),
)


def public_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of a public RRDB checkpoint, of any of its three layouts, to those of `RRDBNet`.

    Keys of the current layout and unknown keys are unchanged.
    """
    rules = _NUMBERED_LAYOUT if any(key.startswith("model.") for key in state) else _SCRIPT_LAYOUT

    def renamed(key: str) -> str:
        for pattern, replacement in rules:
            if pattern.match(key):
                return pattern.sub(replacement, key)
        return key

    return {renamed(key): value for key, value in state.items()}


def _accept_older_layouts(module: nn.Module, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    """Rename keys in place before loading (load_state_dict pre-hook)."""
    own = {key: state.pop(key) for key in list(state) if key.startswith(prefix)}
    renamed = public_state_dict({key.removeprefix(prefix): value for key, value in own.items()})
    state.update({prefix + key: value for key, value in renamed.items()})


def rrdbnet_arguments(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Infer blocks, features and growth from the shapes of a state dict in the current layout.

    Raises:
        KeyError: not the state dict of an RRDBNet.
    """
    blocks = 1 + max((int(key.split(".")[1]) for key in state if key.startswith("body.")), default=-1)
    return {
        "blocks": blocks,
        "features": state["conv_first.weight"].shape[0],
        "growth": state["body.0.rdb1.conv1.weight"].shape[0],
    }
