"""A page for every package of facehall, from its docstrings (mkdocstrings)."""

from __future__ import annotations

import ast
from pathlib import Path

import facehall

PACKAGE = Path(facehall.__file__).parent


def pages() -> dict[str, str]:
    """Return {path: Markdown} of a page for each top-level package or module, and an overview."""
    made, rows = {}, []
    for path in sorted(PACKAGE.iterdir()):
        name = path.stem
        if name.startswith("__") or not _has_code(path):
            continue
        modules = list(_modules(path))
        blocks = [f"::: {_dotted(module)}\n" for module in modules]
        made[f"api/{name}.md"] = "\n".join([f"# facehall.{name}", "", *blocks])
        rows.append(f"| [{name}]({name}.md) | {_summary(path)} |")
    overview = [
        "# API",
        "",
        "From the docstrings. Images are RGB float32 in [0, 1], (B, 3, H, W), unless stated otherwise.",
        "",
        "| Package | |",
        "|---|---|",
        *rows,
        "",
    ]
    return {"api/index.md": "\n".join(overview), **made}


def page_of(path: Path) -> str | None:
    """Return the page of a file or folder below src/facehall."""
    name = Path(path.parts[0]).stem if path.parts else "index"
    documented = not path.parts or _has_code(PACKAGE / path.parts[0])
    return f"api/{name}.md" if documented and path.suffix in (".py", "") else None


def _has_code(path: Path) -> bool:
    """Return whether a path is a module or a package, and not a folder of data or what a deleted package left."""
    return path.suffix == ".py" if path.is_file() else (path / "__init__.py").is_file()


def _modules(path: Path) -> list[Path]:
    """Return the documented modules of a package, itself first."""
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [file for file in files if not file.stem.startswith("_") and _docstring(file)]


def _dotted(path: Path) -> str:
    return ".".join(("facehall", *path.relative_to(PACKAGE).with_suffix("").parts))


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _summary(path: Path) -> str:
    """Return the first line about a package: its docstring's, else the names of its modules."""
    docstring = _docstring(path if path.is_file() else path / "__init__.py")
    if docstring:
        return docstring.splitlines()[0]
    inside = sorted(file.stem for file in path.iterdir() if not file.name.startswith("_"))
    return ", ".join(f"`{name}`" for name in inside)
