"""The sets of an evaluation: the source that `data` chooses, or several by name."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from facehall.config.build import build, conf_dir, open_value
from facehall.data import Source
from facehall.errors import FacehallError

FOLDER = "images"
"""The option of conf/data that a set has whose name is none of them."""


def build_sets(cfg: DictConfig) -> dict[str, Source]:
    """The sources to evaluate on, by the names of their sets.

    Without `sets` that is `data`. Of ``sets={NAME: ROOT, …}`` or ``{NAME: {root: ROOT, KEY: VALUE, …}}`` each is an
    option of conf/data: the one that `data` among its keys names, else the one called NAME (set5), else `images`, every
    picture of a folder. A set that is whole already, by ``+data@sets.NAME=OPTION``, is taken as it is.

    Raises:
        FacehallError: a set is not one of these, has an unknown key, or its source refuses its settings.
    """
    if not cfg.sets:
        return {"data": build(cfg.data, "data")}
    if not isinstance(cfg.sets, DictConfig):
        raise FacehallError("sets: give {NAME: FOLDER, ...}, for instance 'sets={set5: SET5, faces: FACES}'.")
    found = {}
    for name in [str(key) for key in cfg.sets]:
        if not name.strip(".") or any(sign in name for sign in "/\\"):
            raise FacehallError(f"sets: {name!r} cannot be the name of a set, as it names a folder of the report.")
        node = _whole(name, cfg.sets[name])
        with open_dict(cfg):  # where its ${scale} is found
            cfg.sets[name] = node
        found[name] = build(cfg.sets[name], f"sets.{name}")
    return found


def _whole(name: str, given: Any) -> Any:
    """The option of conf/data with what was given of it filled in."""
    if isinstance(given, DictConfig) and "_target_" in given:
        return given
    settings = OmegaConf.create(given) if isinstance(given, DictConfig) else OmegaConf.create({"root": given})
    options = sorted(path.stem for path in (conf_dir() / "data").glob("*.yaml"))
    option = settings.pop("data", name if name in options else FOLDER)
    if option not in options:
        raise FacehallError(f"sets.{name}.data={option}: there is no such option. Options: {', '.join(options)}.")
    whole = OmegaConf.load(conf_dir() / "data" / f"{option}.yaml")
    known = [str(key) for key in whole]  # `in whole` denies what is ???
    unknown = [str(key) for key in settings if key not in known]
    if unknown:
        keys = ", ".join(key for key in known if key != "_target_")
        raise FacehallError(f"sets.{name}: data={option} has no key {unknown[0]!r}, but {keys}.")
    try:
        return OmegaConf.merge(whole, settings)
    except OmegaConfBaseException as error:
        raise open_value(error, f"sets.{name}") from None
