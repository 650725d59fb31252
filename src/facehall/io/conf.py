"""The folder conf/, which travels with the package."""

from __future__ import annotations

from pathlib import Path

from facehall.errors import FacehallError


def conf_dir() -> Path:
    """Return the configuration folder: inside an installed wheel, or at the top of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FacehallError(
        f"facehall's configuration folder conf/ is missing: neither inside {package} nor at the top of a source "
        "checkout. Reinstall the package, from its wheel or with `pip install -e .` in the checkout."
    )


def options_of(group: str) -> list[str]:
    """Return the names of the options of a group, the files of a folder of conf/."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
