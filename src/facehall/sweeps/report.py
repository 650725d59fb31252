"""Write sweep.csv, sweep.md and sweep.png of a sweep's folder."""

from __future__ import annotations

import csv
from pathlib import Path

from facehall.io.atomic import replacing, write_text
from facehall.sweeps.table import Job, markdown, read_jobs, scatter_axes, table


def write_report(sweep: Path) -> list[Job]:
    """Write sweep.csv, sweep.md and, once there is something to draw, sweep.png, each atomically.

    Args:
        sweep: the sweep's folder; its sub-folders are the jobs.

    Returns:
        the jobs.
    """
    sweep = sweep.absolute()  # its last two parts are the title
    jobs = read_jobs(sweep)
    columns, rows = table(jobs)
    with replacing(sweep / "sweep.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    drawn = False
    if scatter_axes(jobs) is not None:
        from facehall.sweeps.scatter import draw_scatter  # matplotlib and torch take seconds in each process of a sweep

        drawn = draw_scatter(jobs, sweep / "sweep.png")
    write_text(sweep / "sweep.md", markdown(sweep, jobs, picture=drawn))
    return jobs
