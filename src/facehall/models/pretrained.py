"""Weights bundled with the package, by name."""

from __future__ import annotations

from pathlib import Path

from facehall.errors import FacehallError
from facehall.models.hub_folder import WEIGHTS

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
"""Contains NAME.safetensors and NAME.md, its model card."""
FAST_WEIGHTS, FAST_SCALE = "facehall-x4_fast", 4
"""Those of a small network, for browsers and for what is beside the faces: an eighth of the default weights' work."""


def bundled_names() -> list[str]:
    """Return the names of the bundled weights."""
    return sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.safetensors"))


def weights_file(given: str | Path) -> Path:
    """Return the file of bundled weights given by name, or that of a folder of `facehall.models.hub_folder`.

    Anything else is returned as a path.
    """
    if str(given) in bundled_names():
        return WEIGHTS_FOLDER / f"{given}.safetensors"
    within = Path(given) / WEIGHTS
    return within if within.is_file() else Path(given)


def card_file(name: str) -> Path:
    """Return the model card of bundled weights: NAME.md, or that of the name without its last parts (``_psnr``)."""
    stem = name
    while not (WEIGHTS_FOLDER / f"{stem}.md").is_file() and "_" in stem:
        stem = stem.rpartition("_")[0]
    return WEIGHTS_FOLDER / f"{stem}.md"


def default_weights(scale: int = 4) -> str:
    """Return the default weights for a scale: the GAN weights, or those of the PSNR phase if there are none.

    Raises:
        FacehallError: no bundled weights for that scale.
    """
    for name in (f"facehall-x{scale}", f"facehall-x{scale}_psnr"):
        if name in bundled_names():
            return name
    raise FacehallError(
        f"The package has no weights for x{scale}, only {', '.join(bundled_names())}. Give a weights file written by "
        "training, or a public ESRGAN or Real-ESRGAN x4 checkpoint (.pth)."
    )
