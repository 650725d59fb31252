"""Checks of the settings of a command."""

from __future__ import annotations

from omegaconf import DictConfig

from facehall.errors import FacehallError


def check_integers(cfg: DictConfig, **least: int) -> None:
    """Check that settings are integers of at least the given ones.

    Raises:
        FacehallError: one is not; the message names its key.
    """
    for key, lowest in least.items():
        value = cfg[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise FacehallError(f"{key}={value}: give an integer of at least {lowest}.")
