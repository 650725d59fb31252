"""Packages of the optional extras."""

from __future__ import annotations

from facehall.errors import FacehallError


def require_extra(extra: str, *packages: str) -> None:
    """Import the packages of an optional extra.

    Raises:
        FacehallError: if one is missing; the message contains the pip command.
    """
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise FacehallError(
                f"{package} cannot be imported ({error}). Install it: pip install 'facehall[{extra}]'."
            ) from None
