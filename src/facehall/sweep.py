"""The table of a sweep that was cut off, or still runs: ``python -m facehall.sweep folder=runs/sweeps/NAME/TIME``."""

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
    """Write sweep.csv, sweep.md and sweep.png of a sweep's folder as it stands, and print the table.

    Raises:
        FacehallError: there is no sweep.
    """
    folder = Path(str(cfg.folder)) if cfg.folder else _newest(Path(str(cfg.sweeps)))
    if not any(folder.glob(f"*/{RECORD}")):
        raise FacehallError(f"folder={folder}: no sub-folder holds a {RECORD}, so this is not the folder of a sweep.")
    jobs = write_report(folder)
    print(markdown(folder, jobs))
    say(f"The table is in {display_path(folder)}: sweep.md, sweep.csv, sweep.png.")
    return jobs


def _newest(sweeps: Path) -> Path:
    found = {path.parents[1] for path in sweeps.glob(f"*/*/*/{RECORD}")}
    if not found:
        raise FacehallError(f"{sweeps} holds no sweep. Give folder=FOLDER, or start one: facehall.train -m …")
    return max(found, key=lambda folder: folder.stat().st_mtime)


main = entry_point("sweep")(sweep)

if __name__ == "__main__":
    main()
