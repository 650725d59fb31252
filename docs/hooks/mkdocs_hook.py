"""The MkDocs hook: pages made from conf/, the catalogue, the package and notebooks, and links out of docs/.

README files of experiments/, the cards of the weights, CONTRIBUTING and CHANGELOG become pages too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import api_pages
import notebook_pages
import settings_pages
import system_pages
from links import DOCS, outside, rewrite


def generated() -> dict[str, str]:
    """Return {path of a generated page: its Markdown}."""
    return {**settings_pages.pages(), **system_pages.pages(), **api_pages.pages(), **notebook_pages.pages(DOCS)}


def on_config(config: Any) -> Any:
    """Fill the sections of the navigation that are generated."""
    cards = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("systems/*.md"))
    settings = sorted(settings_pages.pages())
    groups = [place for place in settings if place.startswith("settings/groups/")]
    commands = [place for place in settings if place not in (*groups, "settings/index.md")]
    readmes = sorted(place for place in outside().values() if place.endswith("README.md"))
    made = {
        "Systems": ["systems/index.md", *cards],
        "Settings": ["settings/index.md", {"Commands": commands}, {"Groups": groups}],
        "Experiments": readmes,
        "API": sorted(api_pages.pages()),
    }
    for section in config["nav"]:
        for name, value in section.items():
            if value == []:
                section[name] = made[name]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the files outside docs/."""
    for place, text in generated().items():
        files.append(File.generated(config, place, content=text))
    for path, place in outside().items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Point links where they lead within the site."""
    source = page.file.abs_src_path
    if source is None or page.file.src_uri.endswith("ipynb"):
        return markdown
    return rewrite(markdown, Path(source), page.file.src_uri)
