"""Building objects from Hydra config nodes, restricted to allowed targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from facehall.config.plugins import allowed_prefixes
from facehall.errors import FacehallError
from facehall.io.conf import conf_dir as conf_dir

ALLOWED_TARGETS = ("facehall.", "lightning.", "torch.", "torchmetrics.")


def build(node: Any, key: str, **extra: Any) -> Any:
    """Instantiate a config node with plain arguments; an empty node (an option called `none`) gives None.

    Args:
        node: a mapping with a `_target_`, which must belong to facehall, Lightning, torch, torchmetrics or a plugin
            (`facehall.config.plugins`).
        key: its config key, for messages.
        extra: further arguments of the target.

    Raises:
        FacehallError: a `???` has no value, a target is not allowed or not found, or it rejects its arguments.
    """
    if not node:
        return None
    try:
        for target in _targets(node):
            _check_target(target, key)
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, FacehallError):
            raise cause from None
        if isinstance(cause, (TypeError, ValueError)):
            raise FacehallError(f"{key}: {cause}.") from cause
        if isinstance(cause, OmegaConfBaseException):
            raise missing_value_error(cause, key) from None
        raise
    except OmegaConfBaseException as error:
        raise missing_value_error(error, key) from None


def missing_value_error(error: OmegaConfBaseException, key: str) -> FacehallError:
    """Return the error for a `???` without a value, or an interpolation that does not resolve."""
    name = getattr(error, "full_key", None) or key
    if isinstance(error, MissingMandatoryValue):
        return FacehallError(f"{name} has no value yet: give one on the command line, {name}=VALUE.")
    return FacehallError(f"{name}: {str(error).splitlines()[0]}.")


def _check_target(target: str, key: str) -> None:
    """Reject targets outside the allowed packages, also those that such a package merely imports (torch.os.system)."""
    allowed = (*ALLOWED_TARGETS, *allowed_prefixes())
    not_allowed = FacehallError(
        f"{key}: the config would call {target!r}, but only targets that start with {', '.join(allowed)} are allowed. "
        f"For a package of your own, set plugins=[{target.partition('.')[0]}]."
    )
    if not target.startswith(allowed):
        raise not_allowed
    try:
        home = getattr(get_object(target), "__module__", None)
    except Exception as error:  # an import may raise anything
        reason = str(error).splitlines()[-1]
        raise FacehallError(f"{key}: the target {target!r} cannot be found. {reason}") from error
    if not f"{home}.".startswith(allowed):
        raise not_allowed


def _targets(node: Any) -> Iterator[str]:
    """Yield every `_target_` in a node, also behind interpolations, which instantiate follows too."""
    if isinstance(node, DictConfig):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)
