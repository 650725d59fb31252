"""The pages of the site: links lead somewhere, generated pages are complete, the navigation names all."""

import re
from pathlib import Path

import pytest
import yaml

import api_pages
import links
import notebook_pages
import settings_pages
import system_pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

SOURCES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(DOCS.glob("**/*.md")),
    *(path for path in links.outside() if path.suffix == ".md"),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file(source):
    text = source.read_text(encoding="utf-8")
    for match in links.links(text):
        assert (source.parent / match[3].partition("#")[0]).exists(), match[0]


def test_links_are_rewritten_for_the_site():
    text = "[a](../experiments/mining/README.md#x) [b](../conf/losses/l1.yaml) [c](../src/facehall/losses/pixel.py)"
    text += " [d](../experiments/mining/measure.py) ![e](../experiments/release/x4_london.jpg) [f](systems) `[g](h)`"
    assert links.rewrite(text, DOCS / "page.md", "page.md") == (
        "[a](experiments/mining/README.md#x) [b](settings/groups/losses.md) [c](api/losses.md)"
        " d ![e](experiments/release/x4_london.jpg) [f](systems/index.md) `[g](h)`"
    )
    assert links.rewrite("[a](../../docs)", ROOT / "experiments" / "x" / "y.md", "experiments/x/y.md") == "a"
    with pytest.raises(FileNotFoundError):
        links.rewrite("[a](nothing.md)", DOCS / "page.md", "page.md")


@pytest.fixture(scope="module")
def pages():
    return settings_pages.pages()


def test_every_option_and_key_of_conf_has_its_line(pages):
    for path in sorted((ROOT / "conf").glob("**/*.yaml")):
        place = path.relative_to(ROOT / "conf")
        page = pages[settings_pages.page_of(place)]
        if len(place.parts) > 1:
            option = Path(*place.parts[1:]).with_suffix("").as_posix()
            page = page.partition(f"\n## {option}\n")[2].partition("\n## ")[0]
            assert page, place
        for name in flat(yaml.safe_load(path.read_text(encoding="utf-8")) or {}):
            assert any(f"| `{name[:end]}` |" in page for end in range(len(name) + 1)), (place, name)


def flat(node, prefix=""):
    """Yield dotted keys; those inside lists and flow mappings stand in the line of their parent."""
    for key, value in node.items():
        if key in ("_target_", "_partial_", "defaults"):
            continue
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_comments_and_docstrings_become_meanings(pages):
    curriculum = pages["settings/groups/curriculum.md"]
    assert "| `gan.ramp_shape` | `cosine` | or linear |" in curriculum
    assert "`[psnr, ssim, psnr_y, ssim_y, lpips]` | psnr, ssim, psnr" in pages["settings/groups/metrics.md"]
    losses = pages["settings/groups/losses.md"]
    assert (
        "| `kind` | `charbonnier` | ``mse`` (the paper), ``l1`` or ``charbonnier``. |" in losses
    )  # from the docstring
    assert "Builds [`PyramidPixelLoss`][facehall.losses.pixel.PyramidPixelLoss]." in losses
    assert "Starts from `rrdbnet`." in pages["settings/groups/generator.md"]
    assert "| [train](train.md) |" in pages["settings/index.md"]
    assert settings_pages.arguments(
        "A.\n\nArgs:\n    a, b: one\n        two.\n    c: three.\n\nReturns:\n    d: e."
    ) == {
        "a": "one two.",
        "b": "one two.",
        "c": "three.",
    }


def test_every_group_is_described():
    assert settings_pages.ABOUT.keys() == {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}


def test_every_card_is_in_the_overview_and_every_package_has_a_page():
    overview = system_pages.pages()["systems/index.md"]
    linked = set(re.findall(r"\(([\w-]+)\.md\)", overview))
    cards = {path.stem for path in DOCS.glob("systems/*.md")}
    assert linked <= cards
    made = api_pages.pages()
    packages = {path.parent.name for path in (ROOT / "src" / "facehall").glob("*/__init__.py")}
    assert {f"api/{name}.md" for name in packages} <= set(made)
    assert "::: facehall.inference.predictor\n" in made["api/inference.md"]


def test_notebooks_become_pages():
    page = notebook_pages.pages(DOCS)["notebook.md"]
    assert "```python\nfrom PIL import Image" in page
    assert "```text\ngrace_hopper (3, 256, 256) -> (3, 64, 64)\n```" in page
    assert "![output](data:image/jpeg;base64," in page


def test_the_navigation_names_every_page():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = {place for entry in nav[0]["Guide"] for place in entry.values()}
    own = {path.with_suffix(".md").name for path in DOCS.iterdir() if path.suffix in (".md", ".ipynb")}
    assert named == own
