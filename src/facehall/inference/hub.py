"""Export of a generator to a folder for the Hugging Face Hub, read back before it appears."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from facehall.errors import FacehallError
from facehall.models.generators import Generator
from facehall.models.hub_folder import CARD, CONFIG, WEIGHTS, config_text
from facehall.models.pretrained import WEIGHTS_FOLDER, card_file
from facehall.models.weights import load_generator, read_metadata, save_generator

_FRONT_MATTER = """\
---
library_name: facehall
pipeline_tag: image-to-image
tags:
  - super-resolution
  - face-hallucination
  - model_hub_mixin
  - pytorch_model_hub_mixin
---
"""

_USE = """\
## Use

```bash
facehall upscale photo.jpg --weights {folder}
```

```python
from facehall.inference import Predictor

larger = Predictor("{folder}").upscale("photo.jpg")
```

`{folder}` is the folder that holds this card.

## Limits

The network invents detail that the input does not hold. Never use a result as evidence of who somebody is, for
recognition, or in medicine.
"""


def export_folder(weights: Path, folder: Path) -> Path:
    """Write config.json, model.safetensors and README.md, the card, for the generator of a weights file.

    A facehall file is copied unchanged. The folder appears once it is complete and its network has been read back.

    Args:
        weights: a file that `load_generator` reads.
        folder: the folder to create; `facehall upscale --weights FOLDER` reads it.

    Returns:
        `folder`.

    Raises:
        FacehallError: the weights are invalid, `folder` exists or cannot be written, or what was read back differs.
    """
    generator = load_generator(weights)
    if folder.exists():
        raise FacehallError(f"{folder} already exists; nothing was written. Remove it, or choose another name.")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(parents=True)
        if weights.suffix == ".pth":
            save_generator(partial / WEIGHTS, generator)
        else:
            shutil.copyfile(weights, partial / WEIGHTS)
        metadata = read_metadata(weights if weights.suffix != ".pth" else partial / WEIGHTS)
        (partial / CONFIG).write_text(config_text(metadata, generator.scale), encoding="utf-8")
        (partial / CARD).write_text(card(weights, generator, metadata, folder.name), encoding="utf-8")
        _compare(generator, partial, weights)
        partial.rename(folder)
    except OSError as error:
        raise FacehallError(f"{folder} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def card(weights: Path, generator: Generator, metadata: Mapping[str, str], name: str) -> str:
    """Return the model card: the one in the package if there is one, else what the weights file records."""
    use = _USE.format(folder=name)
    packaged = card_file(weights.stem)
    if weights.parent == WEIGHTS_FOLDER and packaged.is_file():
        return f"{_FRONT_MATTER}\n{packaged.read_text(encoding='utf-8').strip()}\n\n{use}"
    parameters = sum(parameter.numel() for parameter in generator.parameters())
    arguments = ", ".join(f"{key}={value}" for key, value in json.loads(metadata["arguments"]).items())
    labels = {"run": "Run", "step": "Steps", "phase": "Last phase", "losses": "Measures used as losses"}
    origin = [f"- {label}: {metadata[key]}" for key, label in labels.items() if key in metadata]
    facts = [
        f"- Network: `{metadata['target']}` ({arguments})",
        f"- Scale: x{generator.scale}",
        f"- Parameters: {parameters:,}",
        *origin,
    ]
    todo = (
        "State here which photographs it was trained on and under which terms they and these weights may be used, and "
        "its figures on photographs that training did not see (`facehall evaluate`)."
    )
    about = "Super-resolution weights for facehall, a codebase for face super-resolution."
    return "\n".join([_FRONT_MATTER, f"# {name}", "", about, "", *facts, "", "## Data and terms", "", todo, "", use])


def _compare(generator: Generator, folder: Path, weights: Path) -> None:
    read, expected = load_generator(folder / WEIGHTS).state_dict(), generator.state_dict()
    if read.keys() != expected.keys() or not all(torch.equal(read[name], expected[name]) for name in expected):
        raise FacehallError(f"{weights}: the weights read back from the folder differ, so it was not written.")
