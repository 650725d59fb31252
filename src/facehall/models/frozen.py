"""`Frozen`: wraps pretrained networks used in losses and metrics, excluding them from training and checkpoints."""

from __future__ import annotations

from typing import Any

from torch import nn


class Frozen(nn.Module):
    """Holds a pretrained network that follows its owner's device but is never trained or saved.

    Its parameters require no gradient, it stays in eval mode, and it is absent from its owner's state dict, so that
    checkpoints neither contain nor require, for example, 59 MB of VGG16.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.register_load_state_dict_post_hook(_ignore_own_missing_keys)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.network(*args, **kwargs)

    def train(self, mode: bool = True) -> Frozen:
        return super().train(False)

    def state_dict(self, *args: Any, destination: Any = None, **kwargs: Any) -> Any:
        return {} if destination is None else destination


def _ignore_own_missing_keys(module: nn.Module, incompatible_keys: Any) -> None:
    """Remove this module's own keys from the missing ones; the hook does not get its prefix, so match name endings."""
    tensors = (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False))
    own = {name for name, _ in tensors}  # a tensor with two names, as in LPIPS, is reported under both
    incompatible_keys.missing_keys[:] = [
        key for key in incompatible_keys.missing_keys if not any(key.endswith(name) for name in own)
    ]
