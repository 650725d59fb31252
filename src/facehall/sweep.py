"""Write the table of an unfinished or running sweep: ``python -m facehall.sweep folder=runs/sweeps/NAME/TIME``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.errors import FacehallError
from facehall.io.logs import say
from facehall.sweeps.record import RECORD
from facehall.sweeps.report import write_report
from facehall.sweeps.table import Job, markdown
from facehall.training.runs import display_path


def sweep(cfg: DictConfig) -> list[Job]:
    """Write sweep.csv, sweep.md and sweep.png for a sweep folder in its current state, and print the table.

    Raises:
        FacehallError: the folder holds no sweep.
    """
    folder = Path(str(cfg.folder)) if cfg.folder else _newest(Path(str(cfg.sweeps)))
    if not any(folder.glob(f"*/{RECORD}")):
        raise FacehallError(f"folder={folder}: not a sweep folder, as no sub-folder holds a {RECORD}.")
    jobs = write_report(folder)
    print(markdown(folder, jobs))
    say(f"The table is in {display_path(folder)}: sweep.md, sweep.csv, sweep.png.")
    return jobs


def _newest(sweeps: Path) -> Path:
    found = {path.parents[1] for path in sweeps.glob(f"*/*/*/{RECORD}")}
    if not found:
        raise FacehallError(f"{sweeps} holds no sweep. Give folder=FOLDER, or start one with facehall.train -m …")
    return max(found, key=lambda folder: folder.stat().st_mtime)


main = entry_point("sweep")(sweep)

if __name__ == "__main__":
    main()
