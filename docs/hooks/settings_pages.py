"""A page for every group and every command of conf/: its options, their keys, defaults and meanings.

A key's meaning is the comment beside it, else what the docstring of the class that the option builds says about the
parameter.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

from facehall.cli.choices import groups
from facehall.io.conf import conf_dir

ABOUT = {
    "callbacks": "What happens during a training besides the steps: files of the run folder, monitoring, progress.",
    "classical": "The settings of classical methods, for `facehall fit`.",
    "curriculum": "The phases of a training, with the weights of the loss terms.",
    "data": "Where pictures come from.",
    "debug": "Presets that shorten or profile a training.",
    "degradation": "How LR images are made from HR ones.",
    "discriminator": "The network that judges, in GAN phases.",
    "experiment": "Whole recipes: differences from `train.yaml` only. Each opens with its command.",
    "generator": "The network that is trained.",
    "hydra": "Run folders of the commands.",
    "logger": "Where values and pictures go besides the run folder.",
    "losses": "Loss terms; `losses=[charbonnier,vgg16s,ragan]` takes several. Their weights belong to the curriculum.",
    "metrics": "The evaluation protocol.",
    "mining": "Which patches are rejected as flat.",
    "optimizer": "The rule of the updates; `generator` and `discriminator` each have one.",
    "patches": "Training patches.",
    "scheduler": "How learning rates change.",
    "search": "Searches of a multirun (`-m`).",
    "store": "Where decoded pictures are kept.",
    "sweep": "Launchers of a multirun (`-m`).",
    "system": "The catalogue: plain data about each system that tables compare.",
    "train": "What `facehall compare` trains first.",
    "trainer": "Where and how a training runs.",
}
"""One sentence about each group."""

COMMENT = re.compile(r"^\s*#\s?(.*)$")


@dataclass(frozen=True)
class Key:
    """A key of a config file: dotted name, value as written, and the comment beside it."""

    name: str
    value: str
    comment: str


def pages() -> dict[str, str]:
    """Return {path: Markdown} of all pages."""
    commands = {path.stem: path for path in sorted(conf_dir().glob("*.yaml"))}
    folders = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
    made = {f"settings/{name}.md": command_page(name, path) for name, path in commands.items()}
    made |= {f"settings/groups/{name}.md": group_page(name) for name in folders}
    return made | {"settings/index.md": index(list(commands), folders)}


def page_of(path: Path) -> str:
    """Return the page of a file or folder below conf/."""
    if len(path.parts) == 1 and path.suffix == ".yaml":
        return f"settings/{path.stem}.md"
    return f"settings/groups/{path.parts[0]}.md" if path.parts else "settings/index.md"


def index(commands: list[str], folders: list[str]) -> str:
    """Return the overview."""
    return "\n".join(
        [
            "# Settings",
            "",
            "A command's settings are composed from its primary config and one option of each of its groups. "
            "`GROUP=OPTION` chooses an option, `KEY=VALUE` sets a key, and `--cfg job` prints the result. These pages "
            "are made from the files of `conf/`.",
            "",
            "| Command | |",
            "|---|---|",
            *(f"| [{name}]({name}.md) | {_cell(description(conf_dir() / f'{name}.yaml')[0])} |" for name in commands),
            "",
            "| Group | |",
            "|---|---|",
            *(f"| [{name}](groups/{name}.md) | {ABOUT[name]} |" for name in folders),
            "",
        ]
    )


def command_page(name: str, path: Path) -> str:
    """Return the page of a primary config."""
    entries = [entry for entry in _load(path).get("defaults", []) if isinstance(entry, dict)]
    chosen = {str(key).removeprefix("optional "): value for entry in entries for key, value in entry.items()}
    rows = [
        f"| [{group}](groups/{_folder(group)}.md) | {_shown(chosen.get(group))} | {len(options)} |"
        for group, options in groups(name).items()
    ]
    table = ["## Groups", "", "| Group | Default | Options |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"# {name}", "", *_paragraph(path), *table, "## Keys", "", *_table(keys(path), None), ""])


def group_page(name: str) -> str:
    """Return the page of a group."""
    folder = conf_dir() / name
    files = sorted(folder.glob("**/*.yaml"))
    users = [path.stem for path in sorted(conf_dir().glob("*.yaml")) if name in map(_folder, groups(path.stem))]
    used = f" Used by {', '.join(f'[{user}](../{user}.md)' for user in users)}." if users else ""
    lines = [f"# {name}", "", ABOUT[name] + used, ""]
    for path in files:
        option = path.relative_to(folder).with_suffix("").as_posix()
        lines += [f"## {option}", "", *_paragraph(path), *_based(path), *_built(path), *_table(keys(path), path), ""]
    return "\n".join(lines)


def description(path: Path) -> list[str]:
    """Return the lines of the comment that a config file opens with, without Hydra's package line."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = COMMENT.match(line)
        if match is None:
            break
        if not match[1].startswith("@package"):
            found.append(match[1])
    return found or [""]


def keys(path: Path) -> list[Key]:
    """Return the keys of a config file, in its order, without targets and defaults."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return []
    lines = text.splitlines()
    return [key for key in _walk(root, "", lines) if key.name.partition(".")[0] != "defaults"]


def _walk(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[Key]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if key.value in ("_target_", "_partial_"):
            continue
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            comment = _comment(lines, key.end_mark)
            if comment:
                yield Key(name, "", comment)
            yield from _walk(value, f"{name}.", lines)
        elif isinstance(value, yaml.SequenceNode) and not value.flow_style:
            yield Key(name, "…" if value.value else "[]", _comment(lines, key.end_mark))
        else:
            yield Key(name, _written(lines, value), _comment(lines, value.end_mark))


def _written(lines: list[str], node: Any) -> str:
    start, end = node.start_mark, node.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    rest = [line.strip() for line in lines[start.line + 1 : end.line]] + [lines[end.line][: end.column].strip()]
    return " ".join([lines[start.line][start.column :].strip(), *rest])


def _comment(lines: list[str], mark: Any) -> str:
    """Return the comment after a position, and the lines above it that hold a comment alone."""
    match = re.match(r"^:?\s*#\s?(.*)$", lines[mark.line][mark.column :]) if mark.line < len(lines) else None
    opening = next((number for number, line in enumerate(lines) if not COMMENT.match(line)), len(lines))
    above: list[str] = []
    number = mark.line - 1
    while number >= opening and (found := COMMENT.match(lines[number])):
        above.insert(0, found[1])
        number -= 1
    return " ".join([*above, *([match[1]] if match else [])]).strip()


def _table(found: list[Key], path: Path | None) -> list[str]:
    if not found:
        return ["It has no keys." if path is not None else "It has no keys of its own."]
    documented = _documented(path) if path is not None else {}
    meanings = [key.comment or documented.get(key.name.rpartition(".")[2], "") for key in found]
    rows = [
        f"| `{key.name}` | {_code(key.value)} | {_cell(meaning)} |"
        for key, meaning in zip(found, meanings, strict=True)
    ]
    return ["| Key | Value | Meaning |", "|---|---|---|", *rows]


def _paragraph(path: Path) -> list[str]:
    text = " ".join(description(path)).strip()
    return [_literal(text), ""] if text else []


def _based(path: Path) -> list[str]:
    """Return a line about the options that this one starts from or chooses."""
    entries = [entry for entry in _load(path).get("defaults", []) if entry != "_self_"]
    bases = [f"`{entry}`" for entry in entries if isinstance(entry, str)]
    chosen = [
        f"`{str(group).removeprefix('override ').lstrip('/')}={_shown(option).replace('`', '')}`"
        for entry in entries
        if isinstance(entry, dict)
        for group, option in entry.items()
    ]
    parts = [f"Starts from {', '.join(bases)}."] if bases else []
    parts += [f"Chooses {', '.join(chosen)}."] if chosen else []
    return [" ".join(parts), ""] if parts else []


def _built(path: Path) -> list[str]:
    names = [_home(target) for target in dict.fromkeys(_targets(_load(path)))]
    own = [f"[`{name.rpartition('.')[2]}`][{name}]" for name in names if name.startswith("facehall.")]
    others = [f"`{name}`" for name in names if not name.startswith("facehall.")]
    return [f"Builds {', '.join((*own, *others))}.", ""] if names else []


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _home(target: str) -> str:
    found = get_object(target)
    return f"{found.__module__}.{found.__qualname__}" if target.startswith("facehall.") else target


@functools.cache
def _documented(path: Path) -> dict[str, str]:
    """Return {parameter: its meaning} from the docstrings of the classes that an option builds."""
    found: dict[str, str] = {}
    for target in _targets(_load(path)):
        if target.startswith("facehall."):
            found |= arguments(inspect.getdoc(get_object(target)) or "")
    return found


def arguments(docstring: str) -> dict[str, str]:
    """Return {parameter: description} of a docstring's section Args."""
    section = re.search(r"(?ms)^Args:\n(.*?)(?=^\S|\Z)", docstring)
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\w)", "\n" + (section[1].rstrip() if section else "")):
        names, colon, text = entry.strip().partition(":")
        if colon:
            found |= dict.fromkeys(re.split(r",\s*", names), " ".join(text.split()))
    return found


def _folder(group: str) -> str:
    return group.partition("@")[0].lstrip("/").partition("/")[0]


def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value)
    return "" if value is None else f"`{value}`"


def _code(value: str) -> str:
    return f"`{value}`".replace("|", "\\|") if value else ""


def _cell(text: str) -> str:
    return _literal(text).replace("|", "\\|")


def _literal(text: str) -> str:
    """Escape what Markdown would read as markup, outside code."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text)
    return "".join(part if index % 2 else re.sub(r"([*_<\[\]])", r"\\\1", part) for index, part in enumerate(parts))
