"""The overview of the systems' cards, from the catalogue in conf/system."""

from __future__ import annotations

from pathlib import Path

from facehall.systems import load_catalogue

CARDS = Path(__file__).resolve().parents[1] / "systems"


def pages() -> dict[str, str]:
    """Return {path: Markdown}."""
    rows = []
    for name, system in load_catalogue().items():
        card = f"[{system.title}]({name}.md)" if (CARDS / f"{name}.md").is_file() else system.title
        scales = ", ".join(f"x{scale}" for scale in system.scales)
        recipe = f"`{system.recipe}`" if system.recipe else ""
        faces = "faces" if system.faces_only else ""
        rows.append(f"| `{name}` | {card} | {scales} | {recipe} | {system.published_weights or ''} | {faces} |")
    text = [
        "# Systems",
        "",
        "What `facehall compare` puts into one table: bicubic, the weights in the package, classical methods and "
        "networks of the literature. A card says what the system is, how we read its paper, what was verified, and "
        "what was not. *Recipe* is the option of `experiment` that trains it; *reader* opens weights that others "
        "published, as `READER:FILE`.",
        "",
        "| Name | System | Scales | Recipe | Reader | For |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    return {"systems/index.md": "\n".join(text)}
