"""Folders of weights as the Hugging Face Hub keeps models: config.json, model.safetensors and a card, README.md.

``config.json`` holds the constructor's arguments at its top level, where `huggingface_hub.PyTorchModelHubMixin` looks
for them, and under ``facehall`` the class's name and the origin of the weights:

    class Shared(MultiScaleRRDB, PyTorchModelHubMixin): ...
    Shared.from_pretrained("FOLDER")
"""

from __future__ import annotations

import json
from pathlib import Path

from facehall.errors import FacehallError

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""Names of the files in such a folder."""


def config_text(metadata: dict[str, str], scale: int) -> str:
    """Return config.json for the metadata of a weights file (`facehall.models.weights.read_metadata`)."""
    arguments = json.loads(metadata["arguments"])
    own = {key: value for key, value in metadata.items() if key != "arguments"}
    return json.dumps({**arguments, "facehall": {**own, "scale": scale}}, indent=2) + "\n"


def config_metadata(path: Path) -> dict[str, str] | None:
    """Return the metadata in the config.json beside a weights file; None if it is not in such a folder.

    They rebuild the network when another tool has rewritten model.safetensors without its metadata.

    Raises:
        FacehallError: config.json is not a JSON object.
    """
    config = path.with_name(CONFIG)
    if path.name != WEIGHTS or not config.is_file():
        return None
    try:
        given = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FacehallError(f"{config}: not a readable JSON file ({error}).") from None
    if not isinstance(given, dict):
        raise FacehallError(f"{config}: not a JSON object. Export the weights again, or remove it.")
    own = given.pop("facehall", None)
    if not isinstance(own, dict) or not isinstance(own.get("target"), str):
        return None
    return {**{key: str(value) for key, value in own.items() if key != "scale"}, "arguments": json.dumps(given)}
