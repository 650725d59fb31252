"""Config groups and keys of a Hydra command for --help and shell completion, read from conf/ without composing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from facehall.config.build import conf_dir


def groups(primary: str) -> dict[str, list[str]]:
    """Return {group: its options} of a primary config, in its order; options in sub-folders are SUB/NAME.

    A group placed elsewhere than its folder (``data@sources.x: faces``) is listed by the name that overrides it.
    """
    found = {}
    for key, folder in _defaults(primary).items():
        files = sorted((conf_dir() / folder).glob("**/*.yaml"))
        found[key] = [file.relative_to(conf_dir() / folder).with_suffix("").as_posix() for file in files]
    return found


def completions(primary: str, prefix: str) -> list[str]:
    """Return complete arguments (groups, options and keys) that may follow `prefix`, a partly typed argument."""
    key, equals, _ = prefix.partition("=")
    if equals:
        return [f"{key}={option}" for option in groups(primary).get(key, [])]
    own = _load(conf_dir() / f"{primary}.yaml")
    if "." in key:
        return sorted(f"{name}=" for name in _keys(primary, own, key.partition(".")[0]))
    plain = {name for name, value in own.items() if name not in ("defaults", "hydra")}
    return sorted(f"{name}=" for name in plain | set(groups(primary)))


def _keys(primary: str, own: dict[str, Any], first: str) -> set[str]:
    """Return the dotted keys below a top-level key: of the primary config and of every option of the group."""
    found = set(_dotted(own.get(first, {}), first))
    if (folder := _defaults(primary).get(first)) is not None:
        for file in (conf_dir() / folder).glob("**/*.yaml"):
            found.update(_dotted(_load(file), first))
    return found


def _dotted(node: Any, name: str) -> list[str]:
    if not isinstance(node, dict):
        return [name]
    return [
        dotted
        for key, value in node.items()
        if key != "defaults" and not str(key).startswith("_")
        for dotted in _dotted(value, f"{name}.{key}")
    ]


def _defaults(primary: str) -> dict[str, str]:
    """Return {name that overrides a group: the group's folder}."""
    entries = [entry for entry in _load(conf_dir() / f"{primary}.yaml").get("defaults", []) if isinstance(entry, dict)]
    names = [str(name) for entry in entries for name in entry]
    chosen = [name.removeprefix("optional ") for name in names if not name.startswith("override ")]
    return {name: name.partition("@")[0].lstrip("/") for name in chosen if name != "hydra"}


def _load(file: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {}
