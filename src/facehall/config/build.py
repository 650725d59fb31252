"""From Hydra configs to objects: the only place where code meets OmegaConf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from facehall.config.plugins import allowed_prefixes
from facehall.errors import FacehallError

ALLOWED_TARGETS = ("facehall.", "lightning.", "torch.", "torchmetrics.")


def conf_dir() -> Path:
    """The configuration folder: inside an installed wheel, or at the top of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FacehallError(
        f"facehall's configuration folder conf/ is missing: neither inside {package} nor at the top of a source "
        "checkout. Install the package again, from its wheel or with `pip install -e .` in the checkout."
    )


def build(node: Any, key: str, **extra: Any) -> Any:
    """Instantiate a config node with plain arguments; an empty node (an option called `none`) gives None.

    Args:
        node: a mapping with a `_target_`, which must be facehall's, Lightning's, torch's or torchmetrics' own, or that
            of a plugin (`facehall.config.plugins`).
        key: where it stands in the config, for messages.
        extra: further arguments of the target.

    Raises:
        FacehallError: a `???` was left open, a target is foreign or not there, or it refuses its arguments.
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
            raise open_value(cause, key) from None
        raise
    except OmegaConfBaseException as error:
        raise open_value(error, key) from None


def open_value(error: OmegaConfBaseException, key: str) -> FacehallError:
    """The paragraph for a `???` that nobody filled, or an interpolation that does not resolve."""
    name = getattr(error, "full_key", None) or key
    if isinstance(error, MissingMandatoryValue):
        return FacehallError(f"{name} has no value yet: give one on the command line, {name}=VALUE.")
    return FacehallError(f"{name}: {str(error).splitlines()[0]}.")


def _check_target(target: str, key: str) -> None:
    """Refuse what is not one of the allowed packages' own, also where they merely import it (torch.os.system)."""
    allowed = (*ALLOWED_TARGETS, *allowed_prefixes())
    foreign = FacehallError(
        f"{key}: the config would call {target!r}, but only targets that begin with {', '.join(allowed)} are built "
        f"from a config. If it is a package of your own, name it: plugins=[{target.partition('.')[0]}]."
    )
    if not target.startswith(allowed):
        raise foreign
    try:
        home = getattr(get_object(target), "__module__", None)
    except Exception as error:  # Hydra hands on whatever an import raises
        reason = str(error).splitlines()[-1]
        raise FacehallError(f"{key}: the target {target!r} cannot be found. {reason}") from error
    if not f"{home}.".startswith(allowed):
        raise foreign


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a node, also behind interpolations, which instantiate follows too."""
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
