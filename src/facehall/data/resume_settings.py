"""Refuse to resume interrupted work with different settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facehall.errors import FacehallError
from facehall.io.atomic import write_text

SETTINGS = "settings.json"


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Record the settings in an empty folder, or compare them with those recorded there.

    Args:
        folder: output folder; entries whose names start with a dot are ignored.
        settings: everything that determines the result; may be nested.

    Raises:
        FacehallError: the folder holds other files, or was started with different settings (listed in the message).
    """
    path = folder / SETTINGS
    settings = _flat(settings)
    if not path.is_file():
        others = [child.name for child in folder.iterdir() if not child.name.startswith(".")]
        if others:
            raise FacehallError(f"{folder} already holds {min(others)}: set output to an empty or new folder.")
        write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
        return
    try:
        earlier = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FacehallError(f"{path} cannot be read ({error}): delete {folder} and start again.") from error
    keys = sorted(key for key in {*earlier, *settings} if earlier.get(key) != settings.get(key))
    if keys:
        differing = ", ".join(f"{key} was {earlier.get(key)} and is {settings.get(key)}" for key in keys)
        raise FacehallError(
            f"{folder} was started with different settings: {differing}. Use the original ones, or another output."
        )


def _flat(node: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten to dotted keys, as on the command line."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
