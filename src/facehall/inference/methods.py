"""Methods without weights, by name."""

from __future__ import annotations

from collections.abc import Callable

from facehall.classical.self_exemplar import SelfExSR

METHODS: dict[str, Callable[[int], SelfExSR]] = {"selfexsr": SelfExSR}
"""Name -> function of the scale. They have any scale, where weights have one."""
