"""Fit a classical method: ``python -m facehall.fit system=a_plus data=folder data.root=DIR scale=4``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from torch import Tensor

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.config.checks import check_integers
from facehall.data.patches.pairs import read_hr
from facehall.data.sources.base import ImageFile
from facehall.errors import FacehallError
from facehall.imaging import to_tensor
from facehall.io.atomic import check_writable
from facehall.io.conf import options_of
from facehall.io.logs import say
from facehall.io.progress import progress_bar
from facehall.models.generators import Generator
from facehall.models.weights import SUFFIX, save_generator
from facehall.training.runs import display_path


def fit(cfg: DictConfig) -> Generator:
    """Fit a method to the pictures of a split as configured in conf/fit.yaml, and write its weights file.

    Raises:
        FacehallError: an invalid config or picture, or a file that exists or cannot be written.
    """
    if "classical" not in cfg:
        known = options_of("classical")
        raise FacehallError(f"This system cannot be fitted. Set system to {', '.join(known[:-1])} or {known[-1]}.")
    output = _output(cfg)
    check_integers(cfg, scale=2, seed=0)
    method = build(cfg.classical, "classical")
    files = build(cfg.data, "data").split(cfg.split)
    with _writing(output):
        check_writable(output)  # before the work
    start = time.monotonic()
    generator: Generator = method.fit(_pictures(files), cfg.scale, cfg.seed)
    seconds = time.monotonic() - start
    origin = {
        "about": f"{type(method).__name__} for x{cfg.scale}, fitted to {len(files)} pictures",
        "data": str(cfg.data.get("root") or cfg.data.get("_target_", "")).rstrip("/").rpartition("/")[2],
        "pictures": str(len(files)),
        "seconds": f"{seconds:.0f}",
        "seed": str(cfg.seed),
    }
    with _writing(output):
        save_generator(output, generator, origin)
    fitted = f"Fitted {type(method).__name__} to {len(files)} pictures in {seconds:.0f} s"
    say(f"{fitted}: {display_path(output)}, {output.stat().st_size / 1e6:.0f} MB.")
    return generator


def _output(cfg: DictConfig) -> Path:
    output = Path(str(cfg.output))
    if output.suffix != SUFFIX:
        raise FacehallError(f"output={output}: give a file name that ends in {SUFFIX}.")
    if output.exists() and not cfg.overwrite:
        raise FacehallError(f"{output} already exists. Set another output, or overwrite=true.")
    return output


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FacehallError(f"output={output} cannot be written: {error.strerror or error}.") from None


def _pictures(files: list[ImageFile]) -> Iterator[Tensor]:
    with progress_bar("reading pictures", len(files)) as advance:
        for file in files:
            yield to_tensor(read_hr(file))
            advance()


main = entry_point("fit")(fit)

if __name__ == "__main__":
    main()
