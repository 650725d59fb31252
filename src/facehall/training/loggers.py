"""The W&B logger: online with an account, else offline; no prompts, no waiting for the network."""

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
    """Return a logger for one run folder; the run id derives from the folder's name, so a resumed run continues it.

    Args:
        project, entity, group, tags, name: as in W&B; WANDB_NAME overrides the name. A sweep sets it, and the group
            with WANDB_RUN_GROUP, for its jobs.
        folder: wandb/ is created inside it.
        mode: ``auto`` is online if a key is set (WANDB_API_KEY or `wandb login`), else offline; WANDB_MODE overrides
            it.
        id: overrides the run id.
    """
    online = has_key() if mode == "auto" else mode == "online"
    os.environ.setdefault("WANDB_MODE", "online" if online else "offline")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb  # after setting the environment, which it reads on import

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
    # Lightning passes a setting that W&B has removed, and W&B warns about it at every start.
    getattr(logger, "_wandb_init", {}).pop("anonymous", None)
    return logger


def define_measures(logger: WandbLogger, measures: Iterable[Measure]) -> None:
    """Declare each measure's direction to W&B, whose run summary then shows the best value, not the last.

    The metrics are val/NAME and test/NAME, over Lightning's step axis like all others.
    """
    for measure in measures:
        best = "max" if measure.better == "higher" else "min"
        for split in ("val", "test"):
            logger.experiment.define_metric(
                f"{split}/{measure.name}", step_metric="trainer/global_step", step_sync=True, summary=best
            )


def finish_wandb() -> None:
    """Finish this job's W&B run, if any, so that the jobs of a sweep do not share it."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()


def has_key() -> bool:
    """Whether W&B finds an API key without asking for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
