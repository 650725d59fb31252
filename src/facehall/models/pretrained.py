"""Weights by name: those that are in the package. Training writes the others."""

from __future__ import annotations

from pathlib import Path

from facehall.errors import FacehallError

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
"""Holds NAME.safetensors and NAME.md, its model card."""


def bundled_names() -> list[str]:
    """The names of the weights in the package."""
    return sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.safetensors"))


def weights_file(given: str | Path) -> Path:
    """The file of one of `names`; anything else is the path of a file."""
    return WEIGHTS_FOLDER / f"{given}.safetensors" if str(given) in bundled_names() else Path(given)


def default_weights(scale: int = 4) -> str:
    """The name that a user who names none gets: the GAN's weights, or where there are none the PSNR phase's.

    Raises:
        FacehallError: the package has none for that scale.
    """
    for name in (f"facehall-x{scale}", f"facehall-x{scale}_psnr"):
        if name in bundled_names():
            return name
    raise FacehallError(
        f"The package has no weights for x{scale}, only {', '.join(bundled_names())}. Give a weights file: one that "
        "training wrote, or a public ESRGAN or Real-ESRGAN x4 checkpoint (.pth)."
    )
