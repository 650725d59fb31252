"""Work that goes on where it was interrupted goes on with the settings that it was begun with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facehall.errors import FacehallError
from facehall.io.atomic import write_text

SETTINGS = "settings.json"


def begin(folder: Path, settings: dict[str, Any]) -> None:
    """Note the settings in an empty folder, or see that it was begun with the same ones.

    Args:
        folder: what begins with a dot in it does not count.
        settings: what decides the result; may be nested.

    Raises:
        FacehallError: the folder holds something else, or was begun with other settings, which are named.
    """
    path = folder / SETTINGS
    settings = _flat(settings)
    if not path.is_file():
        strangers = [child.name for child in folder.iterdir() if not child.name.startswith(".")]
        if strangers:
            raise FacehallError(f"{folder} holds {min(strangers)} already: give output=DIR of a folder of its own.")
        write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
        return
    try:
        earlier = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FacehallError(f"{path} cannot be read ({error}): remove {folder} and begin anew.") from error
    keys = sorted(key for key in {*earlier, *settings} if earlier.get(key) != settings.get(key))
    if keys:
        differing = ", ".join(f"{key} was {earlier.get(key)} and is {settings.get(key)}" for key in keys)
        raise FacehallError(
            f"{folder} was begun with other settings: {differing}. Go on with those, or give another output."
        )


def _flat(node: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """With dotted keys, as they stand on a command line."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
