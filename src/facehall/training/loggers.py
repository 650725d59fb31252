"""The W&B logger: online with an account, offline without one, never a prompt nor a wait for the network."""

from __future__ import annotations

import netrc
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import WandbLogger

from facehall.metrics import Measure

WandbMode = Literal["auto", "online", "offline"]


def wandb_logger(
    project: str,
    name: str,
    folder: str | Path,
    mode: WandbMode = "auto",
    entity: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    id: str | None = None,
) -> WandbLogger:
    """A logger for one run folder; the run's id is made of the folder's name, so that a resumed run goes on in it.

    Args:
        project, entity, group, tags, name: as W&B knows them; WANDB_NAME, where set, is the name instead. The jobs of a
            sweep have theirs from there, and their group from WANDB_RUN_GROUP.
        folder: wandb/ is made inside it.
        mode: ``auto`` is online when a key is set (WANDB_API_KEY or `wandb login`) and offline otherwise; WANDB_MODE,
            where set, decides instead.
        id: another id for the run.
    """
    online = has_key() if mode == "auto" else mode == "online"
    os.environ.setdefault("WANDB_MODE", "online" if online else "offline")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb  # not before: it reads its environment when it is imported

    logger = WandbLogger(
        project=project,
        name=os.environ.get("WANDB_NAME") or name,
        save_dir=str(folder),
        entity=entity,
        group=group,
        tags=tags,
        id=id or "-".join(Path(folder).parts[-2:]),
        resume="allow",
        settings=wandb.Settings(console="off", init_timeout=30),
    )
    # Lightning passes on a setting that W&B has withdrawn, and W&B complains of it on every start.
    getattr(logger, "_wandb_init", {}).pop("anonymous", None)
    return logger


def define_measures(logger: WandbLogger, measures: Iterable[Measure]) -> None:
    """Tell W&B which way each measure is better: its summary of a run then shows the best value, not the last.

    Named are val/NAME and test/NAME, over Lightning's step axis as everything else.
    """
    for measure in measures:
        best = "max" if measure.better == "higher" else "min"
        for split in ("val", "test"):
            logger.experiment.define_metric(
                f"{split}/{measure.name}", step_metric="trainer/global_step", step_sync=True, summary=best
            )


def finish_wandb() -> None:
    """End the W&B run of this job, if there is one: else the jobs of a sweep would share it."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()


def has_key() -> bool:
    """Whether W&B would find an API key without asking for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
