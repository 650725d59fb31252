"""Draw sheet.png: a sample photograph degraded eight times by each option of conf/degradation.

python experiments/degradation/sheet.py [--scale 4]
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from facehall.cli.experiments import experiment_parser
from facehall.config.build import build, conf_dir
from facehall.data import SampleSource, load_pair, recipe_of
from facehall.data.degradations import BicubicDegradation
from facehall.imaging import comparison_sheet, to_tensor, to_uint8, write_picture

SAMPLES = 8


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--scale", type=int, default=4)
    scale = parser.parse_args().scale
    _, picture = load_pair(SampleSource().split("val")[0], scale, BicubicDegradation())
    picture = picture[32:224, 32:224]
    hr = to_tensor(picture)
    options = sorted((conf_dir() / "degradation").glob("*.yaml"))
    rows, captions = [], []
    for option in options:
        degradation = build(OmegaConf.load(option), "degradation")
        recipes = [recipe_of(str(i), 0, degradation, scale) for i in range(SAMPLES)]
        rows.append([picture, *(to_uint8(degradation(hr, scale, recipe)) for recipe in recipes)])
        captions.append([option.stem, *("" for _ in recipes)])
    sheet = comparison_sheet(rows, ["HR", *(f"LR x{scale}, {i + 1}" for i in range(SAMPLES))], captions, cell=96)
    write_picture(Path(__file__).with_name("sheet.png"), sheet)


if __name__ == "__main__":
    main()
