"""Run `facehall upscale` on unusual inputs, outputs and weights, and write a table of the results.

python experiments/inference/odd_inputs.py [--results experiments/inference/odd_inputs.csv]
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from forked import command  # noqa: E402
from rich.progress import track  # noqa: E402

import odd_inputs  # noqa: E402
from facehall.cli.experiments import experiment_parser  # noqa: E402
from facehall.inference import batch  # noqa: E402, F401 (imported before forking)

COLUMNS = ("input", "status", "new files", "output", "as expected")


def main() -> int:
    """Write the table; return 1 if any result is not as expected."""
    parser = experiment_parser(__doc__, results=Path(__file__).with_suffix(".csv"))
    results = parser.parse_args().results.resolve()
    rows = []
    for case in track(odd_inputs.CASES, "odd inputs"):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                result = odd_inputs.run(case, command)
                output = " ".join(result.output.replace("n" * 240, "…").split()).removeprefix("facehall: ")
                created = ", ".join(result.created).replace("n" * 240, "…")
                rows.append((case.name, result.status, created, output, "; ".join(result.problems) or "yes"))
            except (OSError, subprocess.SubprocessError) as error:  # not possible on this machine
                rows.append((case.name, "", "", f"not run: {error}", ""))
            finally:
                os.chdir(ROOT)
    with results.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    table = [COLUMNS, ("---",) * len(COLUMNS), *((c[0], c[1], c[2], str(c[3])[:160], c[4]) for c in rows)]
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in table]
    results.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    failed = [row for row in rows if row[4] not in ("yes", "")]
    print(f"{len(rows)} odd inputs, {len(failed)} not as expected", *(f"{r[0]}: {r[4]}" for r in failed), sep="\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
