"""Network interpolation between the weights of a run before and after its GAN phase."""

from __future__ import annotations

from pathlib import Path

from facehall.errors import FacehallError
from facehall.models.generators import Generator
from facehall.models.pretrained import WEIGHTS_FOLDER, bundled_names, weights_file
from facehall.models.weights import SUFFIX, load_generator, read_metadata

FAITHFUL = "faithful"
"""Key of the metadata under which weights of a GAN phase name those of their PSNR phase."""


def load_interpolated(weights: Path, fidelity: float) -> Generator:
    """Interpolate the weights of two phases (Wang et al. 2018, ESRGAN, sec. 3.4): (1 - f) theta_GAN + f theta_PSNR.

    Args:
        weights: either of the two files. The other must be in the same folder: generator_psnr.safetensors for
            generator_ema, generator_best and generator, NAME_psnr for any other NAME, unless the metadata of NAME
            say another one (`FAITHFUL`).
        fidelity: f from 0 (weights of the GAN phase) to 1 (weights of the PSNR phase).

    Raises:
        FacehallError: if f is out of range, a file is missing or unreadable, or the networks differ.
    """
    if isinstance(fidelity, bool) or not isinstance(fidelity, (int, float)) or not 0 <= fidelity <= 1:
        raise FacehallError(
            f"fidelity={fidelity}: must be a number from 0 (weights of the GAN phase, sharp) to 1 (weights of the PSNR "
            "phase, faithful)."
        )
    gan_file, psnr_file = gan_and_psnr_files(weights)
    gan, psnr = load_generator(gan_file), load_generator(psnr_file)
    if (type(gan), gan.arguments) != (type(psnr), psnr.arguments):
        raise FacehallError(
            f"{gan_file} and {psnr_file} hold different networks ({_describe(gan)} and {_describe(psnr)}), which "
            "cannot be interpolated. Give weights of a single run, or do not set fidelity."
        )
    other = psnr.state_dict()
    for name, value in gan.state_dict().items():
        if value.is_floating_point():
            value.lerp_(other[name], float(fidelity))
    return gan


def gan_and_psnr_files(weights: Path) -> tuple[Path, Path]:
    """Return the weights files of the GAN phase and the PSNR phase."""
    if weights.stem.endswith("_psnr"):
        name = weights.stem.removesuffix("_psnr")
        psnr, gan = weights, _first_existing(weights, f"{name}_ema", name)
    else:
        name = weights.stem.removesuffix("_ema").removesuffix("_best")
        own = weights.with_stem(f"{weights.stem}_psnr")  # if the name itself ends in _best
        psnr, gan = own if own.is_file() else weights.with_stem(f"{name}_psnr"), weights
        if (other := _faithful(weights)) is not None:
            psnr = weights.with_name(other)
    if weights.parent == WEIGHTS_FOLDER and not psnr.is_file():
        supported = [
            name for name in bundled_names() if f"{name}_psnr" in bundled_names() or _faithful(weights_file(name))
        ]
        raise FacehallError(
            f"fidelity interpolates between two weights files, but the package has only one for {weights.stem}. Use "
            f"one that has two ({', '.join(supported)}), or do not set fidelity."
        )
    for path in (gan, psnr):
        if weights.is_file() and not path.is_file():
            raise FacehallError(
                f"fidelity interpolates {weights} with {path.name} of the same run, which is not in the same folder. A "
                "run with a PSNR phase and a GAN phase writes both to its weights/ folder. Put it there, or do not set "
                "fidelity."
            )
    return gan, psnr


def _faithful(weights: Path) -> str | None:
    """Return the file name that the metadata give for the PSNR phase, without any folder; None if they give none."""
    if weights.suffix != SUFFIX or not weights.is_file():
        return None
    try:
        name = read_metadata(weights).get(FAITHFUL)
    except FacehallError:  # not a file of ours, which whoever loads it will say
        return None
    return f"{Path(name).name}{SUFFIX}" if name else None


def _first_existing(weights: Path, *stems: str) -> Path:
    """Return the first existing sibling with one of these stems, else the first one."""
    siblings = [weights.with_stem(stem) for stem in stems]
    return next((path for path in siblings if path.is_file()), siblings[0])


def _describe(generator: Generator) -> str:
    return f"{type(generator).__name__} with {generator.arguments}"
