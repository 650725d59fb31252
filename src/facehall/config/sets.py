"""The test sets of an evaluation: the source in `data`, or several by name in `sets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from facehall.config.build import build, missing_value_error
from facehall.data import BenchmarkSource, Degradation, FacesSource, ImageDataset, MemoryStore, Pairs, Source
from facehall.data.patches.pairs import check_pairs
from facehall.errors import FacehallError
from facehall.io.conf import conf_dir, options_of

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


def read_sets(cfg: DictConfig, sources: Mapping[str, Source], degradation: Degradation) -> dict[str, ImageDataset]:
    """Return the images of the config's split of each set, with LR images at its scale.

    Raises:
        FacehallError: a source has no such images, or a file lacks its partner.
    """
    pairs = Pairs(cfg.scale, degradation, MemoryStore(0), cfg.seed)
    files = {name: source.split(cfg.split) for name, source in sources.items()}
    for of_set in files.values():
        check_pairs(of_set)
    return {name: ImageDataset(of_set, pairs) for name, of_set in files.items()}


def listed(value: object) -> list[str]:
    """Split a list, or one or several comma-separated files or names; a file name may itself contain commas."""
    if isinstance(value, ListConfig):
        return [str(item) for item in value]
    text = str(value)
    if Path(text).exists():
        return [text]
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return [item.strip() for item in inner.split(",") if item.strip()]


def named_sets(names: list[str], root: Path, face_size: int | None) -> dict[str, dict[str, Any]]:
    """Return the `sets` of a config for names of options of conf/data, found below `root`, and for folders.

    Args:
        names: options such as set5 or faces, or folders, whose pictures are all used.
        root: the folder that holds the sets: Set5, or set5, …, and faces.
        face_size: shorter side to which the pictures of `faces` are reduced; None: original size.

    Raises:
        FacehallError: an option or its folder does not exist, or two sets have one name.
    """
    options = options_of("data")
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        is_folder = name not in options and Path(name).is_dir()
        label = Path(name).absolute().name if is_folder else name
        if label in found:
            raise FacehallError(f"set: two sets are called {label}. Use sets={{NAME: FOLDER, …}} to name them.")
        if not is_folder and name not in options:
            raise FacehallError(
                f"set={name}: neither a folder nor an option of conf/data. Options: {', '.join(options)}."
            )
        where = Path(name) if is_folder else _below(root, name)
        found[label] = {"data": DEFAULT_OPTION if is_folder else name, "root": str(where)}
        if name == "faces" and face_size is not None:
            found[label]["size"] = face_size
    return found


def _below(root: Path, name: str) -> Path:
    """Return the sub-folder of that name, regardless of case."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    for entry in entries:
        if entry.is_dir() and entry.name.lower() == name.lower():
            return entry
    raise FacehallError(
        f"set={name}: {root} holds no folder of that name. Set root=DIR, the folder that holds the sets, or give each "
        f"set's own folder: 'sets={{{name}: DIR}}'."
    )


def is_face_set(source: Source) -> bool:
    """Return whether a source holds faces (data=faces)."""
    return isinstance(source, FacesSource)


def benchmark_name(source: Source, images: int) -> str:
    """Return the name of a complete benchmark set, to which published figures apply; else an empty string.

    Args:
        source: the source.
        images: its number of images.
    """
    if not isinstance(source, BenchmarkSource) or source.official:
        return ""
    option = conf_dir() / "data" / f"{source.name.lower()}.yaml"
    return source.name if option.is_file() and OmegaConf.select(OmegaConf.load(option), "count") == images else ""


def _complete(name: str, given: Any) -> Any:
    """Return the option of conf/data with the given settings merged in."""
    if isinstance(given, DictConfig) and "_target_" in given:
        return given
    settings = OmegaConf.create(given) if isinstance(given, DictConfig) else OmegaConf.create({"root": given})
    options = options_of("data")
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
