"""What README and docs show: code blocks with their marks, and the commands in them and in running text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]

_BLOCK = re.compile(r"(?ms)(?:^<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$")
_OWN = re.compile(r"^(?:facehall|python -m facehall\.)")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        language: as after the backticks.
        text: its lines.
        mark: ``run``, ``file NAME`` or empty: the HTML comment above it.
    """

    language: str
    text: str
    mark: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(match["language"], match["text"], match["mark"] or "")


def commands_of(text: str) -> Iterator[str]:
    """Yield the commands of a shell block, one a line or several between semicolons, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("while "):
            yield re.search(r"^while (.*?); \[", line)[1]
            continue
        kept = re.sub(r"(^|\s+)#.*$", "", line).strip()
        yield from filter(None, (each.strip() for each in re.split(r";\s", kept)))


def shown(page: Path) -> list[str]:
    """Return all commands of a page: in shell blocks, in indented blocks, and facehall's own within sentences."""
    text = page.read_text(encoding="utf-8")
    found = [command for block in blocks(page) if block.language == "bash" for command in commands_of(block.text)]
    prose = _BLOCK.sub("", text)
    found += [command for line in re.findall(r"(?m)^ {4}(\S.*)$", prose) for command in commands_of(line)]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"(?m)^ {4}.*$", "", prose))
    found += [span for span in spans if _OWN.match(span) and " " in span and "…" not in span]
    return list(dict.fromkeys(found))


def words_of(command: str) -> list[str]:
    """Split a command as a shell does; variables set in front of it are left out."""
    words = shlex.split(command)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words
