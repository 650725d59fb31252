"""Time to quality: the wall time of whole training commands that reach a fixed PSNR gain on validation faces.

    python experiments/speed/bench.py FACES --target x4                     # all entries of the log book
    python experiments/speed/bench.py FACES --target x8 --entries adam mirror --seeds 1 2 3

FACES holds train and val. The entries, in entries.yaml, are settings of facehall.train. Entries are interleaved: each
seed runs all of them in turn. Rows are appended to results.csv, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from facehall.cli.experiments import experiment_parser
from facehall.errors import FacehallError

HERE = Path(__file__).parent
COLUMNS = ("target", "entry", "seed", "steps", "seconds", "training_seconds", "bicubic", "psnr", "gain", "machine")


def main() -> None:
    parser = experiment_parser(__doc__, HERE / "results.csv")
    parser.add_argument("faces", metavar="FACES", help="folder with train and val")
    parser.add_argument("--entries", nargs="+", default=[], metavar="ENTRY", help="entries of the target (all)")
    parser.add_argument("--target", default="x4", help="a target of entries.yaml (x4)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED", help="(1 2 3)")
    arguments = parser.parse_args()
    target = _target(arguments.target, arguments.entries)
    done = {(row["target"], row["entry"], int(row["seed"])) for row in _rows(arguments.results)}
    for seed in arguments.seeds:
        for entry in target["entries"]:
            if (arguments.target, entry, seed) in done:
                continue
            overrides = [*target["common"], *target["entries"][entry], f"data.root={arguments.faces}", f"seed={seed}"]
            row = {"target": arguments.target, "entry": entry, "seed": seed, **_train(overrides)}
            _append(arguments.results, row)
            print(f"{entry}, seed {seed}: {row['seconds']} s, gain {row['gain']} dB", flush=True)
    print(_table(arguments.target, target, _rows(arguments.results)))


def _target(name: str, chosen: list[str]) -> dict[str, Any]:
    """Return a target of entries.yaml: gain, common overrides, and the chosen entries."""
    targets = yaml.safe_load((HERE / "entries.yaml").read_text(encoding="utf-8"))
    if name not in targets:
        raise FacehallError(f"--target {name}: entries.yaml has {', '.join(targets)}.")
    target = targets[name]
    if unknown := set(chosen) - set(target["entries"]):
        raise FacehallError(f"{min(unknown)}: not an entry of {name} ({', '.join(target['entries'])}).")
    return {**target, "entries": {entry: target["entries"][entry] for entry in chosen or target["entries"]}}


def _train(overrides: list[str]) -> dict[str, Any]:
    """Run one training command to its end; return its wall time and the gain of its averaged weights."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "facehall.train", *overrides, "logger=none", f"run_dir={folder}/run"]
        started = time.perf_counter()
        run = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if run.returncode:
            raise FacehallError(
                f"facehall.train {' '.join(overrides)} failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}"
            )
        summary = json.loads((Path(folder) / "run" / "summary.json").read_text(encoding="utf-8"))
    bicubic, psnr = summary["bicubic"]["psnr"], summary["end_of_psnr_phase"]["psnr"]
    return {
        "steps": summary["steps"],
        "seconds": round(seconds, 1),
        "training_seconds": round(summary["seconds"], 1),
        "bicubic": round(bicubic, 3),
        "psnr": round(psnr, 3),
        "gain": round(psnr - bicubic, 3),
        "machine": f"{summary['machine']}, {summary['runtime']['trainer.precision']}, torch {torch.__version__}",
    }


def _rows(results: Path) -> list[dict[str, str]]:
    if not results.is_file():
        return []
    with results.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _append(results: Path, row: dict[str, Any]) -> None:
    new = not results.is_file()
    with results.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _table(name: str, target: dict[str, Any], rows: list[dict[str, str]]) -> str:
    """Return the Markdown table: median wall time, its ratio to the first entry's, mean gain, whether it suffices."""
    lines = [
        f"{name}: {target['gain']:+.1f} dB over bicubic",
        "",
        "| Entry | Steps | Seconds | Ratio | Gain, dB (each seed) | Target met |",
        "|---|---|---|---|---|---|",
    ]
    baseline = None
    for entry in target["entries"]:
        own = [row for row in rows if (row["target"], row["entry"]) == (name, entry)]
        if not own:
            continue
        seconds = statistics.median(float(row["seconds"]) for row in own)
        gains = [float(row["gain"]) for row in own]
        baseline = baseline or seconds
        met = "yes" if statistics.mean(gains) >= target["gain"] else "no"
        each = ", ".join(f"{gain:.2f}" for gain in gains)
        lines.append(
            f"| {entry} | {own[0]['steps']} | {seconds:.0f} | {seconds / baseline:.2f} | "
            f"{statistics.mean(gains):.3f} ({each}) | {met} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
