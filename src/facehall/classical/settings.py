"""Checks of the methods' settings."""

from __future__ import annotations

from collections.abc import Mapping

from facehall.errors import FacehallError


def check_counts(settings: object, least: Mapping[str, int]) -> None:
    """Check that settings are whole numbers of at least the given ones.

    Raises:
        FacehallError: one is not; the message names its key.
    """
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise FacehallError(f"classical.{name}={value}: set a whole number of at least {lowest}.")


def check_ridge(ridge: object) -> None:
    """Check that the weight of a squared norm is above 0, without which a regression may have no solution.

    Raises:
        FacehallError: it is not.
    """
    if not isinstance(ridge, (int, float)) or isinstance(ridge, bool) or not ridge > 0:
        raise FacehallError(f"classical.ridge={ridge}: set a number above 0.")
