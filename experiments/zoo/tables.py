"""Rewrite README.md's tables from the table.json of `facehall compare` in results/."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from facehall.cli.experiments import experiment_parser

HERE = Path(__file__).parent
START = "<!-- the tables are written by tables.py -->"
Row = Mapping[str, Any]
GENERAL = (("Set5", "psnr_y"), ("Set14", "psnr_y"), ("Urban100, 15", "psnr_y"), ("DIV2K crops", "psnr"))
FACES = (("CelebA-HQ", "psnr"), ("London", "psnr"))
APPEARANCE = ("lpips", "dists")
TRAININGS = {"ours": "general_x4.json", "own": "own_optimizer_x4.json", "steps": "equal_steps_x4.json"}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.parse_args()
    parts = [
        section(HERE / "results" / "general_x4.json", "General photographs, x4", GENERAL),
        section(HERE / "results" / "faces_x4.json", "Faces, x4, 64 to 256 pixels", FACES),
        section(HERE / "results" / "faces_x8.json", "Faces, x8, 16 to 128 pixels", FACES),
        trainings_section(),
    ]
    readme = HERE / "README.md"
    before = readme.read_text(encoding="utf-8").partition(START)[0]
    readme.write_text("\n\n".join([f"{before}{START}", *parts]) + "\n", encoding="utf-8")
    print(*parts, sep="\n\n")


def section(path: Path, title: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return a table with a row for each system, ordered by the first column."""
    table = json.loads(path.read_text(encoding="utf-8"))["table"]
    sets = [name for name in dict.fromkeys(row["set"] for row in table) if name != "mean"]
    by_system: dict[str, dict[str, Row]] = {}
    for row in table:
        by_system.setdefault(row["method"], {})[row["set"]] = row
    first = columns[0][1]
    order = sorted(by_system, key=lambda name: -(by_system[name].get(sets[0], {}).get(first) or 0))
    kinds = {"psnr": "RGB", "psnr_y": "Y"}
    headings = ["System", "Weights", "Minutes", "Parameters", "GMACs", "ms", "Published"]
    headings += [f"{label} ({kinds[measure]})" for label, measure in columns]
    judged = {name: [each for each in sets if is_measured(table, each, name)] for name in APPEARANCE}
    judged = {name: where for name, where in judged.items() if where}
    headings += [*(name.upper() for name in judged), ""]
    lines = [f"### {title}", "", row_text(headings), row_text(["---"] * len(headings))]
    lines += [row_text(cells(name, by_system[name], sets, columns, judged)) for name in order]
    return "\n".join(lines)


def trainings_section() -> str:
    """Return a table of the same networks by equal time, equal steps, and with the optimizer of their publications."""
    found = {}
    for kind, file in TRAININGS.items():
        table = json.loads((HERE / "results" / file).read_text(encoding="utf-8"))["table"]
        found[kind] = {(row["set"], row["method"]): row for row in table}
    trained = [name for (where, name), row in found["steps"].items() if where == "set5" and row["weights"] != "none"]
    order = sorted(trained, key=lambda name: -found["ours"]["set5", name]["psnr_y"])
    headings = ["System", "Ours", "Steps", "Own optimizer", "Steps", "Equal steps", "Minutes"]
    lines = ["### The same networks by equal time, by equal steps, and with their own optimizers, x4", ""]
    lines += [row_text(headings), row_text(["---"] * len(headings))]
    for name in order:
        ours, own, steps = (found[kind].get(("set5", name)) for kind in TRAININGS)
        line = [f"`{name}`"]
        for kind, row in (("ours", ours), ("own", own)):
            line += [both_sets(found[kind], name), number(row["training_steps"] if row else None, ",")]
        line += [both_sets(found["steps"], name), number(steps["training_minutes"] if steps else None, ".1f")]
        lines.append(row_text(line))
    return "\n".join(lines)


def both_sets(rows: Mapping[tuple[str, str], Row], name: str) -> str:
    """Return PSNR on luma of Set5 and Set14."""
    if ("set5", name) not in rows:
        return ""
    return " / ".join(number(rows[each, name]["psnr_y"], ".2f") for each in ("set5", "set14"))


def cells(
    name: str,
    rows: Mapping[str, Row],
    sets: Sequence[str],
    columns: Sequence[tuple[str, str]],
    judged: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return the cells of a system; the measures `judged` are means over their sets, if it was measured on all."""
    any_row = next(row for key, row in rows.items() if key != "mean")
    published = (rows.get(sets[0], {}).get("published") or "").split(" / ")[0].split(" (")[0]
    found = [f"`{name}`", any_row["weights"] or "", number(any_row.get("training_minutes"), ".1f")]
    found += [number(any_row.get(key), form) for key, form in (("parameters", ",.0f"), ("gmacs", ".2f"))]
    found += [number(any_row.get("ms_per_image"), ".0f"), published]
    found += [
        number(rows.get(set_name, {}).get(measure), ".2f") for set_name, (_, measure) in zip(sets, columns, strict=True)
    ]
    for measure, where in judged.items():
        values = [rows[each][measure] for each in where if rows.get(each, {}).get(measure) is not None]
        found.append(number(fmean(values) if len(values) == len(where) else None, ".3f").lstrip("0"))
    return [*found, any_row["note"] or ""]


def is_measured(table: Sequence[Row], set_name: str, measure: str) -> bool:
    return any(row["set"] == set_name and row.get(measure) is not None for row in table)


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def row_text(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
