"""Config keys of earlier versions: errors that name the new key.

To rename a key, add a line to RENAMED; to drop one, to REMOVED. An entry applies once conf/ no longer has the old key.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from facehall.config.build import conf_dir
from facehall.errors import FacehallError

RENAMED: Mapping[str, str] = {
    "loss=esrgan": "losses=[charbonnier,vgg16s,ragan]",
    "loss=esrgan_vanilla": "losses=[charbonnier,vgg16s,vanilla]",
    "loss=esrgan_hinge": "losses=[charbonnier,vgg16s,hinge]",
    "loss=paper": "losses=[mse,vgg16s,vanilla]",
    "perceptual=none": "losses.perceptual=null",
    "perceptual=*": "losses=[charbonnier,*,ragan]",
    "loss.psnr.*": "curriculum.psnr.weights.*",
    "loss.gan.*": "curriculum.gan.weights.*",
    "loss.pixel.*": "losses.pixel.*",
    "loss.adversarial.*": "losses.adversarial.*",
    "perceptual.*": "losses.perceptual.*",
    "curriculum.psnr_steps": "curriculum.psnr.steps",
    "curriculum.gan_steps": "curriculum.gan.steps",
    "curriculum.warmup_steps": "curriculum.gan.warmup",
    "curriculum.ramp_steps": "curriculum.gan.ramp",
    "curriculum.ramp": "curriculum.gan.ramp_shape",
    "scheduler.generator.gan_factor": "curriculum.gan.scheduler.generator.factor",
    "callbacks.compile.worth": "callbacks.compile.min_minutes",
}
"""Old -> new. KEY matches that key with any value, GROUP=OPTION that choice; * matches any text, the same in both.
The first matching entry applies."""

REMOVED: Mapping[str, str] = {
    "patches.degrade_on": "this key was removed: random degradations always run in the loader.",
    "generator.execution=streams": "streams were removed, as they never ran; give in_turn, threads or grouped.",
}
"""Old, as above -> a sentence: why it was removed, or what to use instead."""


def refuse_old_arguments(arguments: Sequence[str]) -> None:
    """Reject old keys in command-line arguments (KEY=VALUE, also with ``+``, ``++`` or ``~`` in front).

    Raises:
        FacehallError: an old key was found; the message gives the replacement.
    """
    found = [advice for argument in arguments if (advice := _advice(argument)) is not None]
    if found:
        raise FacehallError(" ".join(found))


def refuse_old_keys(cfg: DictConfig) -> None:
    """Reject old keys in a composed config, set by the user's own config files.

    Raises:
        FacehallError: an old key was found; the message names the new keys.
    """
    keys = sorted(set(_keys(OmegaConf.to_container(cfg, resolve=False))))
    found = [advice for key in keys if (advice := _advice(key)) is not None]
    if found:
        raise FacehallError(f"A config file sets keys of an earlier version. {' '.join(found)}")


def renamed_group(group: str) -> str:
    """Return a sentence on what replaced a removed config group; empty if there never was such a group."""
    choices = [(old, new) for old, new in RENAMED.items() if old.startswith(f"{group}=") and not _known(old)]
    listed = "; ".join(f"{old} is now {new}" for old, new in choices)
    return f"The group {group} no longer exists: {listed}." if listed else ""


def _advice(argument: str) -> str | None:
    """Return a sentence for an old key, or an old key with a certain value; None for any other."""
    prefix, rest = re.fullmatch(r"([+~]{0,2})(.*)", argument, re.DOTALL).groups()  # type: ignore[union-attr]
    key, equals, value = rest.partition("=")
    for old, new in {**RENAMED, **REMOVED}.items():
        pattern = re.escape(old).replace(r"\*", "(.+)")
        by_value = "=" in old
        match = re.fullmatch(pattern, f"{key}={value}" if by_value else key, re.DOTALL)
        if match is None or _known(old):
            continue
        if old in REMOVED:
            return f"{argument}: {new}"
        new = new.replace("*", match[1]) if match.groups() else new
        instead = new if by_value else f"{prefix}{new}{equals}{value}"
        return f"{argument} is now {shlex.quote(instead)}."
    return None


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all keys."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield f"{prefix}{name}"
            yield from _keys(value, f"{prefix}{name}.")


@functools.cache
def _known(old: str) -> bool:
    """Return whether conf/ still has an entry's key or choice."""
    name, equals, option = old.partition("=")
    group, _, key = name.removesuffix(".*").partition(".")
    files = list((conf_dir() / group).glob("*.yaml"))
    if equals:
        return bool(files) if option == "*" else any(file.stem == option for file in files)
    return any(key in set(_keys(OmegaConf.to_container(OmegaConf.load(file)))) for file in files if key) or (
        not key and bool(files)
    )
