"""Cut and store training patches: ``python -m facehall.mine data=folder data.root=DIR output=OUT``."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader, Subset

from facehall.cli.errors import original_message
from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.annotations.sidecar import sidecar_paths
from facehall.data.patches.picture_miner import PictureMiner
from facehall.data.patches.sheet import contact_sheet
from facehall.data.resume_settings import check_settings
from facehall.data.sources.base import SPLITS
from facehall.data.storage.manifest import MANIFEST, StoredPatch, read_manifest, write_manifest
from facehall.data.storage.shard_files import check_litdata, write_shards
from facehall.errors import FacehallError
from facehall.imaging import write_picture
from facehall.io.locking import file_lock
from facehall.io.logs import say
from facehall.io.machine import cores
from facehall.io.progress import progress_bar
from facehall.training.runs import display_path

_log = logging.getLogger(__name__)

SHEET = "contact_sheet.png"
EXECUTION_KEYS = ("output", "workers", "checks", "patches")
"""Config keys that do not affect the mined patches, or only repeat others."""
_RESUME_HINT = " The stored patches are valid: run the same command again to resume."
MAX_LISTED = 20
"""Maximum number of unusable pictures listed in a message."""


@dataclass(frozen=True)
class Layout:
    """Paths in the output folder; names starting with a dot are temporary."""

    output: Path
    shards: bool

    @property
    def store(self) -> Path:
        """Root of the file pairs."""
        return self.output / ".patches" if self.shards else self.output

    @property
    def results(self) -> Path:
        """Folder of the result files of finished pictures."""
        return self.output / ".results"


def mine(cfg: DictConfig) -> list[StoredPatch]:
    """Mine the patches of a source and store them as configured in conf/mine.yaml.

    Returns:
        the rows of the manifest.

    Raises:
        FacehallError: an invalid config, output folder or picture, or a full disk.
    """
    _check(cfg)
    layout = Layout(Path(str(cfg.output)), cfg.format == "shards")
    if layout.shards:
        check_litdata(f"format={cfg.format}")
    complete = (layout.output / MANIFEST).is_file()
    miner = None if complete else _miner(cfg, layout)  # reports config errors before anything is written
    try:
        layout.output.mkdir(parents=True, exist_ok=True)
        with file_lock(layout.output / ".lock", on_wait=lambda: _raise_locked(layout.output)):
            check_settings(layout.output, _settings(cfg))
            if miner is not None:
                return _mine(cfg, layout, miner)
            _remove_work_folders(layout)
            patches = read_manifest(layout.output)
            say(f"{display_path(layout.output)} is already complete: {_count_text(patches)}.")
            return patches
    except OSError as error:
        raise FacehallError(f"{layout.output} cannot be written: {error.strerror or error}.{_RESUME_HINT}") from error


def _miner(cfg: DictConfig, layout: Layout) -> PictureMiner:
    source = build(cfg.data, "data")
    root = cfg.data.get("root")
    if root is not None and layout.output.resolve().is_relative_to(Path(str(root)).resolve()):
        raise FacehallError(
            f"output={layout.output} is inside data.root={root}, so the patches would be listed as pictures: set "
            "output to a folder elsewhere."
        )
    pictures = [(which, file) for which in SPLITS if which in cfg.splits for file in source.split(which)]
    if layout.shards and any(file.annotations is not None for _, file in pictures):
        raise FacehallError(
            f"data.annotations={cfg.data.get('annotations')} cannot be stored in shards: set format=png, or "
            "data.annotations=null."
        )
    options = (cfg.scale, cfg.patch_size, cfg.patches_per_image)
    tools = (build(cfg.mining, "mining"), build(cfg.degradation, "degradation"), cfg.seed)
    return PictureMiner(pictures, layout.store, layout.results, *options, *tools)


def _mine(cfg: DictConfig, layout: Layout, miner: PictureMiner) -> list[StoredPatch]:
    pictures = miner.pictures
    failures = _run(miner, cores() if cfg.workers is None else cfg.workers)
    if failures:
        _report_failures(failures, len(pictures), strict=cfg.checks == "strict")
    patches = [patch for picture in pictures for patch in miner.patches(*picture)]
    if not patches:
        raise FacehallError(f"No patch could be mined from {len(pictures)} pictures, so {layout.output} has none.")
    _remove_strays(layout, patches)
    write_picture(layout.output / SHEET, contact_sheet(layout.store, patches))
    if layout.shards:
        for which in cfg.splits:
            rows = [patch for patch in patches if patch.split == which]
            write_shards(layout.output / which, layout.store, rows, cfg.chunk_mb, cfg.seed)
    write_manifest(layout.output, patches)
    _remove_work_folders(layout)
    stored = f"{_count_text(patches)} from {len(pictures) - len(failures)} pictures"
    say(f"Stored {stored} in {display_path(layout.output)}.")
    return patches


def _run(miner: PictureMiner, workers: int) -> list[str]:
    """Mine the unfinished pictures; return why pictures cannot be used, in order."""
    todo = [i for i, picture in enumerate(miner.pictures) if not miner.result(*picture).is_file()]
    # DataLoader workers end with this process, and a killed worker raises an error here.
    loader = DataLoader(Subset(miner, todo), batch_size=None, num_workers=min(workers, len(todo)))
    failures: list[str] = []
    try:
        with progress_bar("mining", len(todo)) as advance:
            for failure in loader:
                failures += [failure] if failure else []
                advance()
    except FacehallError as error:
        raise FacehallError(original_message(error) + _RESUME_HINT) from error
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # torch's message for a dead worker
            raise
        raise FacehallError(
            f"A worker process was killed, perhaps out of memory ({str(error).splitlines()[0]}).{_RESUME_HINT} "
            "workers=1 needs the least memory."
        ) from error
    return failures


def _report_failures(failures: list[str], count: int, strict: bool) -> None:
    listed = " ".join(failures[:MAX_LISTED]) + (
        f" And {len(failures) - MAX_LISTED} more." if len(failures) > MAX_LISTED else ""
    )
    text = f"{len(failures)} of {count} pictures cannot be used: {listed}"
    if strict:
        raise FacehallError(f"{text} Fix or remove them and run the same command again, or set checks=skip.")
    _log.warning("%s", text)


def _remove_strays(layout: Layout, patches: list[StoredPatch]) -> None:
    """Remove files left by interruptions or by pictures that were removed since."""
    keep = {patch.file(layout.store, kind) for patch in patches for kind in ("HR", "LR")}
    keep |= {path for patch in patches for path in sidecar_paths(patch.file(layout.store, "HR"))}
    folders = [layout.store / which / kind for which in SPLITS for kind in ("HR", "LR")]
    for path in [path for folder in folders for path in folder.rglob("*")]:
        if path.suffix in (".png", ".json", ".part") and path not in keep:
            path.unlink()
    _remove_partial(layout.output)


def _remove_partial(folder: Path) -> None:
    for path in folder.glob(".*.part"):
        if path.is_file():
            path.unlink()


def _remove_work_folders(layout: Layout) -> None:
    for folder in (layout.results, *([layout.store] if layout.shards else [])):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_partial(layout.output)


def _count_text(patches: list[StoredPatch]) -> str:
    parts = {which: sum(patch.split == which for patch in patches) for which in SPLITS}
    return f"{len(patches):,} patches ({', '.join(f'{count:,} {which}' for which, count in parts.items() if count)})"


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """Return the config keys that affect the mined patches."""
    everything = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(everything, dict)
    return {str(key): value for key, value in everything.items() if key not in EXECUTION_KEYS}


def _raise_locked(output: Path) -> NoReturn:
    raise FacehallError(f"{output} is in use by another facehall.mine: wait for it to finish, or set another output.")


def _check(cfg: DictConfig) -> None:
    for key, least in (("scale", 1), ("patch_size", 1), ("patches_per_image", 1), ("seed", 0), ("workers", 0)):
        value = cfg[key]
        if not (isinstance(value, int) and value >= least) and not (key == "workers" and value is None):
            raise FacehallError(f"{key}={value}: set an integer of at least {least}.")
    for key, options in (("format", ("png", "shards")), ("checks", ("strict", "skip"))):
        if cfg[key] not in options:
            raise FacehallError(f"{key}={cfg[key]}: expected {' or '.join(options)}.")
    if not cfg.splits or not set(cfg.splits) <= set(SPLITS):
        raise FacehallError(f"splits={list(cfg.splits)}: set one or more of {', '.join(SPLITS)}, as in [train,val].")
    if not 0 < cfg.chunk_mb <= 1024:
        raise FacehallError(f"chunk_mb={cfg.chunk_mb}: set a size in megabytes above 0 and at most 1024.")


main = entry_point("mine")(mine)

if __name__ == "__main__":
    main()
