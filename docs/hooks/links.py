"""Links within the site: a relative link of any Markdown file may point anywhere in the repository.

To another page; to a file of conf/, which means the page of its group; to a file of src/facehall, which means the page
of its package; or to something that is no page, whose link is dropped and whose text stays.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import api_pages
import settings_pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PATTERNS = ("experiments/**/*.md", "experiments/**/*.png", "experiments/**/*.jpg", "src/facehall/weights/*.md")
OTHERS = ("CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
"""A link or a picture: mark, text, target."""


@functools.cache
def outside() -> dict[Path, str]:
    """Return {file outside docs/ that is part of the site: its path there}."""
    found = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
    weights = ROOT / "src" / "facehall"
    places = {path: path.relative_to(weights if path.is_relative_to(weights) else ROOT) for path in found}
    return {path: place.as_posix() for path, place in places.items()} | {ROOT / name: name for name in OTHERS}


def site_path(target: Path) -> str | None:
    """Return the path in the site of a file or folder of the repository; None if it has no page.

    Raises:
        FileNotFoundError: there is nothing of that name.
    """
    if not target.exists():
        raise FileNotFoundError(target)
    if target == ROOT / "README.md":
        return "index.md"
    if target == DOCS / "systems":
        return "systems/index.md"
    if (target / "README.md").is_file():
        target = target / "README.md"
    if target in (others := outside()):
        return others[target]
    if target.is_relative_to(DOCS) and target.is_file():
        return target.relative_to(DOCS).with_suffix(".md" if target.suffix == ".ipynb" else target.suffix).as_posix()
    if target.is_relative_to(ROOT / "conf"):
        return settings_pages.page_of(target.relative_to(ROOT / "conf"))
    if target.is_relative_to(ROOT / "src" / "facehall"):
        return api_pages.page_of(target.relative_to(ROOT / "src" / "facehall"))
    return None


def links(text: str) -> Iterator[re.Match[str]]:
    """Yield the relative links of a Markdown text, without code blocks and addresses."""
    without_code = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", lambda match: " " * len(match[0]), text)
    for match in LINK.finditer(without_code):
        if not re.match(r"[a-z]+:|#", match[3]):
            yield match


def rewrite(text: str, source: Path, place: str) -> str:
    """Return a page's Markdown with links that hold within the site.

    Args:
        text: its Markdown.
        source: the file in the repository that it comes from.
        place: its path in the site.
    """
    parts, end = [], 0
    for match in links(text):
        path, hash_, anchor = match[3].partition("#")
        target = site_path((source.parent / path).resolve())
        label = text[match.start(2) : match.end(2)]
        parts.append(text[end : match.start()])
        if target is None:
            parts.append("" if match[1] else label)
        else:
            relative = posixpath.relpath(target, posixpath.dirname(place) or ".")
            parts.append(f"{match[1]}[{label}]({relative}{hash_}{anchor})")
        end = match.end()
    return "".join((*parts, text[end:]))
