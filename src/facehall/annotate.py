"""Annotate pictures of faces: ``python -m facehall.annotate data=folder data.root=DIR output=OUT``."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from omegaconf import DictConfig, OmegaConf

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.schemes import declaration
from facehall.data.annotations.teacher import LANDMARKS, Annotator
from facehall.data.resume_settings import check_settings
from facehall.data.sources.base import SPLITS, ImageFile
from facehall.errors import FacehallError
from facehall.imaging import Picture, read_picture, write_picture
from facehall.imaging.levels import eight_bits
from facehall.io.atomic import write_text
from facehall.io.locking import file_lock
from facehall.io.logs import say
from facehall.io.progress import progress_bar
from facehall.training.runs import display_path

_log = logging.getLogger(__name__)

FILE, PARSING, RESULTS = "annotations.json", "parsing", ".results"
MAX_LISTED = 20
"""Maximum number of pictures without a face listed in a message."""


@dataclass(frozen=True)
class Summary:
    """Pictures with annotations, and those on which no face was seen, by their path below data.root."""

    annotated: list[str]
    without: list[str]


def annotate(cfg: DictConfig) -> Summary:
    """Annotate the pictures of a source as configured in conf/annotate.yaml.

    Raises:
        FacehallError: an invalid config, output folder or picture, or a full disk.
    """
    output, root = Path(str(cfg.output)), Path(str(cfg.data.root))
    if output.resolve().is_relative_to(root.resolve()):
        raise FacehallError(
            f"output={output} is inside data.root={root}, so the parsing maps would be listed as pictures: set output "
            "to a folder elsewhere."
        )
    source = build(cfg.data, "data")
    files = [file for which in SPLITS if which in cfg.splits for file in source.split(which)]
    names = {_name(file, root): file for file in files}
    try:
        output.mkdir(parents=True, exist_ok=True)
        with file_lock(output / ".lock", on_wait=lambda: _raise_locked(output)):
            check_settings(output, _settings(cfg))
            results = _annotate(names, output, cfg)
            summary = _assemble(results, output, cfg)
            shutil.rmtree(output / RESULTS, ignore_errors=True)
    except OSError as error:
        raise FacehallError(
            f"{output} cannot be written: {error.strerror or error}. The annotations made so far are kept: run the "
            "same command again to resume."
        ) from error
    _report(summary, output)
    return summary


def _annotate(names: dict[str, ImageFile], output: Path, cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Annotate the pictures that are not yet; return the entries of all, empty without a face."""
    done = _done(output)
    todo = {name: file for name, file in names.items() if name not in done}
    if todo:
        annotator = Annotator(cfg.landmarks, cfg.parsing)
        with progress_bar("annotating", len(todo)) as advance:
            for name, file in todo.items():
                found = annotator(eight_bits(read_picture(file.hr).rgb), file.box)
                done[name] = {} if found is None else _store(found, name, output)
                result = output / RESULTS / f"{name}.json"
                result.parent.mkdir(parents=True, exist_ok=True)
                write_text(result, json.dumps(done[name]))
                advance()
    return {name: done[name] for name in names}


def _done(output: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of the pictures that an earlier run finished."""
    done: dict[str, dict[str, Any]] = {}
    if (output / FILE).is_file():
        whole = json.loads((output / FILE).read_text(encoding="utf-8"))
        done |= whole["pictures"] | {name: {} for name in whole.get("without", ())}
    results = output / RESULTS
    for path in results.rglob("*.json") if results.is_dir() else ():
        done[path.relative_to(results).as_posix().removesuffix(".json")] = json.loads(path.read_text(encoding="utf-8"))
    return done


def _store(found: Annotations, name: str, output: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if found.landmarks is not None:
        entry["landmarks"] = [[round(float(x), 2), round(float(y), 2)] for x, y in found.landmarks]
    if found.parsing is not None:
        entry["parsing"] = f"{PARSING}/{name}.png"
        path = output / entry["parsing"]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, Picture(np.repeat(found.parsing[..., None], 3, axis=2), grey=True))
    return entry


def _assemble(results: dict[str, dict[str, Any]], output: Path, cfg: DictConfig) -> Summary:
    """Write the set file, see `facehall.data.annotations.read_set`."""
    pictures = {name: entry for name, entry in results.items() if entry}
    without = [name for name, entry in results.items() if not entry]
    if not pictures:
        raise FacehallError(
            f"No face was seen on any of {len(results)} pictures, so {output} has no annotations. The pictures must "
            "show one upright face each; crop them to their faces with data=faces."
        )
    document: dict[str, Any] = {}
    if cfg.landmarks is not None:
        document["landmark_scheme"] = declaration(LANDMARKS[cfg.landmarks][0])
    if cfg.parsing:
        document["parsing_scheme"] = "faces9"
    write_text(output / FILE, json.dumps(document | {"without": without, "pictures": pictures}) + "\n")
    return Summary(list(pictures), without)


def _report(summary: Summary, output: Path) -> None:
    if summary.without:
        listed = ", ".join(summary.without[:MAX_LISTED])
        more = f" and {len(summary.without) - MAX_LISTED} more" if len(summary.without) > MAX_LISTED else ""
        _log.warning(
            "No face was seen on %d of %d pictures, which have no annotations: %s%s. Train with patches.checks=skip, "
            "which leaves them out, or remove them.",
            *(len(summary.without), len(summary.without) + len(summary.annotated), listed, more),
        )
    file = display_path(output / FILE)
    say(f"Annotated {len(summary.annotated)} pictures. Use them with data.annotations={file}.")


def _name(file: ImageFile, root: Path) -> str:
    try:
        return file.hr.relative_to(root).as_posix()
    except ValueError:
        raise FacehallError(f"{file.hr} is not below data.root={root}: annotate a set that is one folder.") from None


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """Return the config keys that affect the annotations."""
    everything = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(everything, dict)
    return {key: everything[key] for key in ("landmarks", "parsing")} | {"root": str(everything["data"]["root"])}


def _raise_locked(output: Path) -> NoReturn:
    raise FacehallError(f"Another process is annotating into {output}: wait for it, or set another output.")


main = entry_point("annotate")(annotate)

if __name__ == "__main__":
    main()
