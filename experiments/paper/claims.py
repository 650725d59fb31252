"""Print every number of the paper: where it comes from, what we get, and the verdict; rewrite README.md's last table.

The claims are in claims.yaml. Checks that refer to results/FILE are filled from the table.json of a `facehall compare`,
copied there; a claim whose decisive result is missing is open.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import posixpath
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from facehall.cli.experiments import experiment_parser
from facehall.errors import FacehallError

HERE = Path(__file__).parent
START = "<!-- the table is written by claims.py -->"
VERDICTS = ("reproduced", "reached", "refuted", "contradictory", "misattributed", "not checkable", "open")
KINDS = ("expression", "published", "measured", "result")
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="DIR", help="folder of the results")
    parser.add_argument("--print-only", action="store_true", help="leave README.md as it is")
    options = parser.parse_args()
    table = table_of(read_claims(HERE / "claims.yaml"), options.results)
    if not options.print_only:
        readme = HERE / "README.md"
        before = readme.read_text(encoding="utf-8").partition(START)[0]
        readme.write_text(f"{before}{START}\n\n{table}\n", encoding="utf-8")
    print(table)


def read_claims(path: Path) -> list[dict[str, Any]]:
    """Read the claims and check their keys."""
    claims = yaml.safe_load(path.read_text(encoding="utf-8"))
    for claim in claims:
        where = f"{path.name}: {claim.get('number')}"
        unknown = set(claim) - {"number", "place", "says", "source", "checks", "verdict", "needs", "remark"}
        missing = {"number", "place", "says", "checks"} - set(claim)
        if unknown or missing:
            raise FacehallError(f"{where}: unknown or missing key {min(unknown | missing)}.")
        if claim.get("verdict", "open") not in VERDICTS:
            raise FacehallError(f"{where}: the verdict must be one of {', '.join(VERDICTS)}, not {claim['verdict']}.")
        for check in claim["checks"]:
            if sum(kind in check for kind in KINDS) != 1 or "label" not in check:
                raise FacehallError(f"{where}: a check needs a label and one of {', '.join(KINDS)}: {check}.")
    return claims


def table_of(claims: list[dict[str, Any]], results: Path) -> str:
    """Return the claims as a Markdown table, after a line that counts the verdicts."""
    rows, verdicts = [], Counter()
    for claim in claims:
        found = [(check, value_of(check, results)) for check in claim["checks"]]
        verdict = verdict_of(claim, found)
        verdicts[verdict] += 1
        ours = "; ".join(describe(check, value) for check, value in found)
        remarks = [claim["remark"]] if "remark" in claim else []
        if any(value is None for _, value in found):
            remarks.append(f"Open: needs {claim.get('needs', 'the results file')}")
        cells = [claim["number"], claim["place"], claim["says"], claim.get("source", "")]
        cells += [ours, f"**{verdict}**", ". ".join(remarks)]
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    counted = ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])
    head = "| Number | Place | The paper takes it for | What it is | What we get | Verdict | Remark |"
    return "\n".join([f"{len(claims)} claims: {counted}.", "", head, "|" + "---|" * 7, *rows])


def verdict_of(claim: dict[str, Any], found: list[tuple[dict[str, Any], float | None]]) -> str:
    """Return the claim's own verdict, after checking that the decisive checks support it, or the one they give."""
    agreed = [agrees(check, value) for check, value in found if value is not None and "expect" in check]
    verdict = claim.get("verdict")
    if verdict is None:
        if any(value is None for check, value in found if "expect" in check) or not agreed:
            return "open"
        return "reproduced" if all(agreed) else "refuted"
    if verdict in ("reproduced", "reached", "misattributed") and not all(agreed):
        raise FacehallError(f"{claim['number']}: {verdict}, but a check disagrees. Correct the verdict or the check.")
    return verdict


def agrees(check: dict[str, Any], value: float) -> bool:
    """Return whether a value meets the check's expectation."""
    if check.get("at_least"):
        return value >= check["expect"]
    if check.get("at_most"):
        return value <= check["expect"]
    return abs(value - check["expect"]) <= check["within"] + 1e-9


def value_of(check: dict[str, Any], results: Path) -> float | None:
    """Return the value of a check; None if its result does not exist yet."""
    if "expression" in check:
        return evaluate(check["expression"])
    if "result" not in check:
        return float(check.get("published", check.get("measured")))
    wanted = check["result"]
    file = results / wanted["file"]
    if not file.is_file():
        return None
    for row in json.loads(file.read_text(encoding="utf-8"))["table"]:
        if (row["set"], row["method"]) == (wanted["set"], wanted["system"]):
            return row.get(wanted["measure"])
    return None


def evaluate(expression: str | float) -> float:
    """Compute an expression of numbers with + - * / and log10."""

    def visit(node: ast.AST) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](visit(node.left), visit(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](visit(node.operand))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "log10" and len(node.args) == 1:
            return math.log10(visit(node.args[0]))
        raise FacehallError(f"{expression}: only numbers, + - * / and log10 can be computed.")

    return visit(ast.parse(str(expression), mode="eval").body)


def describe(check: dict[str, Any], value: float | None) -> str:
    """Return a check as text: its label, its value and where the value is from."""
    if value is None:
        return f"{check['label']}: open"
    digits = f"{value:,.0f}" if value == int(value) and "expression" in check else f"{value:.4g}"
    origin = check.get("from", "")
    if "result" in check:
        origin = posixpath.normpath(f"results/{check['result']['file']}")
    where = f" ([ours]({origin}))" if "measured" in check or "result" in check else f" ({origin})" if origin else ""
    return f"{check['label']}: {digits}{where}"


if __name__ == "__main__":
    main()
