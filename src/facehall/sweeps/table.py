"""The table of a sweep: all jobs and bicubic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facehall.metrics.measures import Measure, headlines
from facehall.sweeps.record import RECORD, Record, declared_measures, read_record, read_summary

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job: its folder's name, its record and, once finished, its summary.json."""

    name: str
    record: Record
    summary: Mapping[str, Any]

    @property
    def overrides(self) -> dict[str, str]:
        """Overrides by key; appended or deleted keys keep their sign (+key, ~key)."""
        return {key: value for key, _, value in (item.partition("=") for item in self.record.overrides)}

    @property
    def status(self) -> str:
        return f"failed: {self.record.error}" if self.record.status == "failed" else self.record.status


@dataclass(frozen=True)
class Baseline:
    """The measures of bicubic on one validation set at one scale, and the jobs to compare with it."""

    label: str
    measures: Mapping[str, float]
    jobs: list[Job]


def read_jobs(sweep: Path) -> list[Job]:
    """Read the jobs of a sweep's folder, ordered by number; failed and unfinished ones have no summary."""
    jobs = []
    for path in sweep.glob(f"*/{RECORD}"):
        if record := read_record(path.parent):
            summary = read_summary(path.parent) if record.status == "finished" else {}
            jobs.append(Job(path.parent.name, record, summary))
    return sorted(jobs, key=lambda job: (not job.name.isdecimal(), len(job.name), job.name))


def varied_keys(jobs: Sequence[Job]) -> list[str]:
    """Return the override keys that differ between jobs, in the order of the command line."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]


def phase_keys(summary: Mapping[str, Any]) -> list[str]:
    """Return the keys of a summary that hold the measures at the end of each phase, first phase first."""
    return [key for key, value in summary.items() if key.startswith("end_of_") and isinstance(value, Mapping)]


def final_measures(summary: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the measures at the end of a training; empty if there are none."""
    names = phase_keys(summary)
    return summary[names[-1]] if names else {}


def job_measures(jobs: Iterable[Job]) -> list[Measure]:
    """Return the headline measures of all jobs as declared in their summaries."""
    found = {measure.name: measure for job in jobs for measure in declared_measures(job.summary)}
    return headlines(found.values())


def scatter_axes(jobs: Sequence[Job]) -> tuple[Measure, Measure] | None:
    """Return the first fidelity measure and the first perceptual one; None if either is missing."""
    found = job_measures(jobs)
    fidelity = [measure for measure in found if not measure.perceptual]
    perceptual = [measure for measure in found if measure.perceptual]
    return (fidelity[0], perceptual[0]) if fidelity and perceptual else None


def baselines(jobs: Iterable[Job]) -> list[Baseline]:
    """Return the baselines; jobs with the same bicubic (scale, protocol, measures to 0.001) share one."""
    groups: list[list[Job]] = []
    for job in jobs:
        if "bicubic" in job.summary:
            group = next((group for group in groups if _same_bicubic(group[0].summary, job.summary)), None)
            if group is None:
                groups.append(group := [])
            group.append(job)
    scales = [group[0].summary.get("scale") for group in groups]
    found = []
    for group, scale in zip(groups, scales, strict=True):
        label = "bicubic" if len(groups) == 1 else f"bicubic x{scale}"
        if scales.count(scale) > 1:
            label += f" of job {', '.join(job.name for job in group)}"
        found.append(Baseline(label, group[0].summary["bicubic"], group))
    return found


def _same_bicubic(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    first, second = a["bicubic"], b["bicubic"]
    comparable = all(a.get(key) == b.get(key) for key in ("scale", "protocol")) and first.keys() == second.keys()
    return comparable and all(abs(first[name] - second[name]) < 1e-3 for name in first)


def table(jobs: Sequence[Job]) -> tuple[list[str], list[Row]]:
    """Return the columns, and one row per baseline and then per job; unknown values are absent."""
    ends = list(dict.fromkeys(key for job in jobs for key in phase_keys(job.summary)))
    keys = varied_keys(jobs)
    names = [measure.name for measure in job_measures(jobs)]
    rows: list[Row] = [
        {"job": baseline.label, "parameters": 0, **_values(dict.fromkeys(ends, baseline.measures), names)}
        for baseline in baselines(jobs)
    ]
    rows += [
        {
            "job": job.name,
            **{key: job.overrides[key] for key in keys if key in job.overrides},
            **{name: job.summary[name] for name in ("parameters", "steps") if name in job.summary},
            "minutes": round(job.record.seconds / 60, 2),
            **_values({end: job.summary[end] for end in ends if end in job.summary}, names),
            "status": job.status,
        }
        for job in jobs
    ]
    columns = ["job", *keys, "parameters", "steps", "minutes"]
    columns += [f"{end}.{name}" for end in ends for name in names]
    return [column for column in [*columns, "status"] if any(column in row for row in rows)], rows


def _values(ends: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> Row:
    return {f"{end}.{name}": values[name] for end, values in ends.items() for name in names if name in values}


def markdown(sweep: Path, jobs: Sequence[Job], picture: bool = False) -> str:
    """Format the table as Markdown: the overrides common to all jobs, then one row per baseline and job."""
    columns, rows = table(jobs)
    keys, declared = varied_keys(jobs), {measure.name: measure for measure in job_measures(jobs)}
    common = " ".join(item for item in (jobs[0].record.overrides if jobs else []) if item.partition("=")[0] not in keys)
    protocols = dict.fromkeys(str(job.summary["protocol"]) for job in jobs if "protocol" in job.summary)
    finished = sum(job.record.status == "finished" for job in jobs)
    lines = [
        "# " + "/".join(sweep.absolute().parts[-2:]),
        "",
        f"{finished} of {len(jobs)} jobs finished; common overrides: `{common}`",
        "",
    ]
    lines += ["| " + " | ".join(_title(column, declared) for column in columns) + " |"]
    lines += ["|" + "|".join("---" if column in ("job", "status", *keys) else "--:" for column in columns) + "|"]
    lines += ["| " + " | ".join(_cell(column, row.get(column), declared) for column in columns) + " |" for row in rows]
    lines += ["", *(f"{protocol}." for protocol in protocols)]
    lines += ["", "![Scatter plot of the jobs](sweep.png)"] if picture else []
    return "\n".join(lines) + "\n"


def _title(column: str, declared: Mapping[str, Measure]) -> str:
    end, dot, measure = column.partition(".")
    if dot and end.startswith("end_of_"):
        return f"{declared[measure].label}, {end.removeprefix('end_of_').replace('_', ' ')}"
    return column


def _cell(column: str, value: object, declared: Mapping[str, Measure]) -> str:
    if isinstance(value, (int, float)) and column.startswith("end_of_"):
        return declared[column.rpartition(".")[2]].text(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else str(value).replace("|", "\\|")
