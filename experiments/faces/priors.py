"""Do face priors help? Recipes of experiment=priors under equal time: priors.py FACES LABELS RUNS

    python experiments/faces/priors.py FACES LABELS RUNS --rates                 # on an otherwise idle machine, first
    python experiments/faces/priors.py FACES LABELS RUNS --scales 8 --seeds 1 2  # resumes if interrupted
    python experiments/faces/priors.py FACES LABELS RUNS                         # what is missing, then the table

FACES holds train, val, test/celebahq512 and test/london512; LABELS holds what `facehall annotate` made of them, in the
folders train, celebahq512 and london512. x8 is 16 to 128 pixels, x4 32 to 128: whole aligned faces. Each recipe gets
the steps of --minutes on one thread at its rate in priors_rates.csv, so that trainings may run beside other work.
Writes priors.csv, the mean of the seeds, and prints it.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from argparse import Namespace
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median

from facehall.cli.experiments import experiment_parser
from facehall.sweeps.recipes import train_recipe
from facehall.training.callbacks.step_times import STEP_TIMES, StepTimes

HERE = Path(__file__).parent
RATES = HERE / "priors_rates.csv"
RECIPES = ("none", "wider", "parts", "parsing", "both", "identity")
SCALES = {8: ["patches.patch_size=16"], 4: ["patches.patch_size=32"]}
EXCLUDED = "[utk128,celeba_fm96]"  # framed more tightly
UNTIMED = "[utk128,celeba_fm96,ffhq256,lfw128]"  # of the rates: fewer pictures start sooner
SETS = ("celebahq512", "london512")
MEASURES = ("psnr", "psnr_parts", "lpips", "dists", "nme", "rank1", "identity")
COMMON = ["runtime.threads=1", "runtime.compile=false", "trainer=cpu", "logger=none", "callbacks.samples=null"]
ROUNDS, TIMED = 2, 50
"""Of the rates: how often each recipe is timed, in turn, and the steps each time."""


def main() -> None:
    parser = experiment_parser(__doc__, HERE / "priors.csv")
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("labels", type=Path, metavar="LABELS")
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder for the trainings and evaluations")
    parser.add_argument("--minutes", type=float, default=2, help="(2)")
    parser.add_argument("--scales", type=int, nargs="+", choices=tuple(SCALES), default=list(SCALES), help="(8 4)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="(1 2)")
    parser.add_argument(
        "--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), help="to be trained or timed (all)"
    )
    parser.add_argument("--rates", action="store_true", help="only measure the time of a step of each recipe")
    options = parser.parse_args()
    if options.rates:
        measure_rates(options)
        return
    for seed in options.seeds:
        for scale in options.scales:
            for recipe in options.recipes:
                train(recipe, scale, seed, options)
    if set(options.recipes) != set(RECIPES):
        return
    rows = [row for scale in options.scales for row in evaluate(scale, options)]
    with options.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(*row.values())


def settings(scale: int, options: Namespace, excluded: str = EXCLUDED) -> list[str]:
    """Return the settings that all recipes share."""
    data = [f"data.root={options.faces}", f"data.exclude={excluded}"]
    return [*COMMON, *SCALES[scale], *data, f"data.annotations={options.labels / 'train' / 'annotations.json'}"]


def measure_rates(options: Namespace) -> None:
    """Write the median time of a step of each recipe, timed in turn, to priors_rates.csv; others keep theirs."""
    times = defaultdict(list)
    timer = f"{{_target_:{StepTimes.__module__}.{StepTimes.__qualname__},folder:'${{run_dir}}'}}"
    for _ in range(ROUNDS):
        for scale in options.scales:
            for recipe in options.recipes:
                run = options.runs / "rate"
                short = [f"training.steps_per_phase={TIMED}", f"patches.steps_per_epoch={TIMED}", f"run_dir={run}"]
                short += ["metrics.measures=[psnr]", "data.val_limit=1", f"+callbacks.step_times={timer}"]
                command = [sys.executable, "-m", "facehall.train", f"experiment=priors/{recipe}", f"scale={scale}"]
                command += [*settings(scale, options, UNTIMED), *short]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times[str(scale), recipe].append(json.loads((run / STEP_TIMES).read_text())["phases"])
                shutil.rmtree(run)
    rows = [row for row in read_rates() if (row["scale"], row["recipe"]) not in times]
    for (scale, recipe), found in times.items():
        for phase in found[0]:
            milliseconds = f"{1000 * median(each[phase] for each in found):.1f}"
            rows.append({"scale": scale, "recipe": recipe, "phase": phase, "step_ms": milliseconds})
    with RATES.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (-int(row["scale"]), RECIPES.index(row["recipe"]))))


def read_rates() -> list[dict[str, str]]:
    if not RATES.is_file():
        return []
    with RATES.open() as file:
        return list(csv.DictReader(file))


def train(recipe: str, scale: int, seed: int, options: Namespace) -> None:
    """Train a recipe for its share of steps, from where it stands; nothing if it is finished."""
    if (folder(recipe, scale, seed, options) / "summary.json").is_file():
        return
    rates = [row for row in read_rates() if (row["scale"], row["recipe"]) == (str(scale), recipe)]
    steps = int(60_000 * options.minutes / sum(float(row["step_ms"]) for row in rates))  # of each phase
    lengths = [f"curriculum.{row['phase']}.steps={steps}" for row in rates]
    lengths.append(f"patches.steps_per_epoch={steps // 2}")
    if recipe == "identity":
        lengths.append(f"curriculum.person.ramp={steps // 6}")  # the same share as in the recipe
    chosen = [*settings(scale, options), *lengths, f"seed={seed}"]
    if error := train_recipe(folder(recipe, scale, seed, options), f"priors/{recipe}", scale, chosen):
        raise SystemExit(error)


def folder(recipe: str, scale: int, seed: int, options: Namespace) -> Path:
    return Path(options.runs) / f"{recipe}_x{scale}_{seed}"


def evaluate(scale: int, options: Namespace) -> list[dict[str, str]]:
    """Return the mean of the seeds of each recipe on each test set; bicubic first."""
    output = options.runs / f"evaluation_x{scale}"
    if not (output / "table.csv").is_file():
        weights = "weights/generator_ema.safetensors"
        systems = [
            f"{recipe}_{seed}: {folder(recipe, scale, seed, options).resolve() / weights}"
            for recipe in RECIPES
            for seed in options.seeds
        ]
        sets = [
            f"{name}: {{root: {options.faces.resolve() / 'test' / name}, size: 128, "
            f"annotations: {options.labels.resolve() / name / 'annotations.json'}}}"
            for name in SETS
        ]
        command = [sys.executable, "-m", "facehall.evaluate", f"systems={{{', '.join(systems)}}}"]
        command += [f"sets={{{', '.join(sets)}}}", f"metrics.measures=[{','.join(MEASURES)}]"]
        subprocess.run([*command, f"output={output}", "sheet=4", "repeats=1"], check=True)
    with (output / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    rows = []
    for name in SETS:
        for recipe in ("bicubic", *RECIPES):
            seeds = [
                row for row in table if row.get("set", name) == name and row["method"].rpartition("_")[0] == recipe
            ]
            seeds = seeds or [row for row in table if row.get("set", name) == name and row["method"] == recipe]
            means = {measure: f"{fmean(float(row[measure]) for row in seeds):.4g}" for measure in MEASURES}
            rows.append(
                {"scale": str(scale), "set": name, "recipe": recipe, "parameters": seeds[0]["parameters"]} | means
            )
    return rows


if __name__ == "__main__":
    main()
