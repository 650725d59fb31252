"""The test sets of an evaluation: the source in `data`, or several by name in `sets`."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from facehall.config.build import build, conf_dir, missing_value_error
from facehall.data import Source
from facehall.errors import FacehallError

DEFAULT_OPTION = "images"
"""The option of conf/data for sets whose name is not itself an option."""


def build_sets(cfg: DictConfig) -> dict[str, Source]:
    """Return the sources to evaluate on, by set name.

    Without `sets` this is `data`. Each set in ``sets={NAME: ROOT, …}`` or ``{NAME: {root: ROOT, KEY: VALUE, …}}`` is
    an option of conf/data: the one named by its key `data`, else the one called NAME (set5), else `images`, all
    pictures of a folder. A set configured in full, by ``+data@sets.NAME=OPTION``, is used unchanged.

    Raises:
        FacehallError: a set has an invalid form or an unknown key, or its source rejects its settings.
    """
    if not cfg.sets:
        return {"data": build(cfg.data, "data")}
    if not isinstance(cfg.sets, DictConfig):
        raise FacehallError("sets: give {NAME: FOLDER, ...}, for instance 'sets={set5: SET5, faces: FACES}'.")
    found = {}
    for name in [str(key) for key in cfg.sets]:
        if not name.strip(".") or any(sign in name for sign in "/\\"):
            raise FacehallError(f"sets: {name!r} is not a valid set name, which must also be a valid folder name.")
        node = _complete(name, cfg.sets[name])
        with open_dict(cfg):  # so that its ${scale} resolves
            cfg.sets[name] = node
        found[name] = build(cfg.sets[name], f"sets.{name}")
    return found


def _complete(name: str, given: Any) -> Any:
    """Return the option of conf/data with the given settings merged in."""
    if isinstance(given, DictConfig) and "_target_" in given:
        return given
    settings = OmegaConf.create(given) if isinstance(given, DictConfig) else OmegaConf.create({"root": given})
    options = sorted(path.stem for path in (conf_dir() / "data").glob("*.yaml"))
    option = settings.pop("data", name if name in options else DEFAULT_OPTION)
    if option not in options:
        raise FacehallError(f"sets.{name}.data={option}: unknown option. Options: {', '.join(options)}.")
    defaults = OmegaConf.load(conf_dir() / "data" / f"{option}.yaml")
    known = [str(key) for key in defaults]  # `in defaults` is False for a ???
    unknown = [str(key) for key in settings if key not in known]
    if unknown:
        keys = ", ".join(key for key in known if key != "_target_")
        raise FacehallError(f"sets.{name}: data={option} has no key {unknown[0]!r}, only {keys}.")
    try:
        return OmegaConf.merge(defaults, settings)
    except OmegaConfBaseException as error:
        raise missing_value_error(error, f"sets.{name}") from None
