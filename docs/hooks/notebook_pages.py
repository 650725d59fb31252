"""A page for every notebook in docs/: its text, its code and its printed outputs."""

from __future__ import annotations

import json
from pathlib import Path


def pages(docs: Path) -> dict[str, str]:
    """Return {path: Markdown}."""
    return {
        path.relative_to(docs).with_suffix(".md").as_posix(): page(path) for path in sorted(docs.glob("**/*.ipynb"))
    }


def page(path: Path) -> str:
    """Return the Markdown of one notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(block for cell in cells for block in _blocks(cell)) + "\n"


def _blocks(cell: dict) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
    pictures = [
        f"![output](data:{kind};base64,{''.join(output['data'][kind]).strip()})"
        for output in cell["outputs"]
        for kind in ("image/png", "image/jpeg")
        if kind in output.get("data", {})
    ]
    return [f"```python\n{source}\n```", *([f"```text\n{printed.rstrip()}\n```"] if printed else []), *pictures]
