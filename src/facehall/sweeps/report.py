"""Write sweep.csv, sweep.md and sweep.png of a sweep's folder."""

from __future__ import annotations

import csv
from pathlib import Path

from facehall.io.atomic import replacing, write_text
from facehall.sweeps.table import Job, markdown, read_jobs, table


def write_report(sweep: Path) -> list[Job]:
    """Write sweep.csv, sweep.md and, once there is something to draw, sweep.png, each atomically.

    Args:
        sweep: the sweep's folder; its sub-folders are the jobs.

    Returns:
        the jobs.
    """
    from facehall.sweeps.scatter import draw_scatter  # matplotlib is slow to import

    sweep = sweep.absolute()  # its last two parts are the title
    jobs = read_jobs(sweep)
    columns, rows = table(jobs)
    with replacing(sweep / "sweep.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    drawn = draw_scatter(jobs, sweep / "sweep.png")
    write_text(sweep / "sweep.md", markdown(sweep, jobs, picture=drawn))
    return jobs
