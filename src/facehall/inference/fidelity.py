"""Between faithful and vivid: the weights of one run before and after its GAN phase, mixed."""

from __future__ import annotations

from pathlib import Path

from facehall.errors import FacehallError
from facehall.models.generators import Generator
from facehall.models.pretrained import FOLDER, names
from facehall.models.weights import load_generator


def load_mixed(weights: Path, fidelity: float) -> Generator:
    """Network interpolation (Wang et al. 2018, ESRGAN, sec. 3.4): (1 - f) theta_GAN + f theta_PSNR.

    Args:
        weights: the file of either end. The other is looked for beside it: to generator_ema.safetensors, generator_best
            and generator belongs generator_psnr.safetensors of the same run, to any NAME its NAME_psnr.
        fidelity: f from 0, the GAN's weights, to 1, those of the PSNR phase.

    Raises:
        FacehallError: f is out of range, a file is missing or unreadable, or the two hold different networks.
    """
    if isinstance(fidelity, bool) or not isinstance(fidelity, (int, float)) or not 0 <= fidelity <= 1:
        raise FacehallError(
            f"fidelity={fidelity}: it is a number from 0 (the vivid weights of the GAN phase) to 1 (the faithful ones "
            "of the PSNR phase)."
        )
    vivid_file, faithful_file = _ends(weights)
    vivid, faithful = load_generator(vivid_file), load_generator(faithful_file)
    if (type(vivid), vivid.arguments) != (type(faithful), faithful.arguments):
        raise FacehallError(
            f"{vivid_file} and {faithful_file} hold different networks ({_described(vivid)} and "
            f"{_described(faithful)}), which cannot be mixed. Give the weights of one run, or leave fidelity out."
        )
    other = faithful.state_dict()
    for name, value in vivid.state_dict().items():
        if value.is_floating_point():
            value.lerp_(other[name], float(fidelity))
    return vivid


def _ends(weights: Path) -> tuple[Path, Path]:
    """The GAN's and the PSNR phase's file."""
    if weights.stem.endswith("_psnr"):
        name = weights.stem.removesuffix("_psnr")
        faithful, vivid = weights, _first_file(weights, f"{name}_ema", name)
    else:
        name = weights.stem.removesuffix("_ema").removesuffix("_best")
        own = weights.with_stem(f"{weights.stem}_psnr")  # of weights that somebody called NAME_best
        faithful, vivid = own if own.is_file() else weights.with_stem(f"{name}_psnr"), weights
    if weights.parent == FOLDER and not faithful.is_file():
        both = [each for each in names() if f"{each}_psnr" in names()]
        raise FacehallError(
            f"fidelity mixes two weights, and {weights.stem} stands alone in the package. It mixes "
            f"{' or '.join(both)}; or leave fidelity out."
        )
    for path in (vivid, faithful):
        if weights.is_file() and not path.is_file():
            raise FacehallError(
                f"fidelity mixes {weights} with {path.name} of the same run, which is not beside it. A run with a PSNR "
                "phase and a GAN phase leaves both in its weights/ folder. Put it there, or leave fidelity out."
            )
    return vivid, faithful


def _first_file(weights: Path, *stems: str) -> Path:
    """The first of these siblings that exists; where none does, the first."""
    siblings = [weights.with_stem(stem) for stem in stems]
    return next((path for path in siblings if path.is_file()), siblings[0])


def _described(generator: Generator) -> str:
    return f"{type(generator).__name__} with {generator.arguments}"
