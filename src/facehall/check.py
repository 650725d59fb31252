"""Look at the pictures of a source before a training does: ``python -m facehall.check data=folder data.root=DIR``."""

from __future__ import annotations

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.patches.checks import Survey


def check(cfg: DictConfig) -> Survey:
    """Report what cannot be used and what is changed on the way, and leave the store ready for a training.

    Raises:
        FacehallError: something cannot be used, unless patches.checks=skip; the text is the report.
    """
    survey: Survey = build(cfg.patches, "patches", source=build(cfg.data, "data")).survey
    if report := survey.report():
        print(report)
    counts = ", ".join(f"{len(files)} {which}" for which, files in survey.files.items())
    print(f"Of {survey.checked} pictures, {survey.checked - len(survey.problems)} can be used: {counts}.")
    return survey


main = entry_point("check")(check)

if __name__ == "__main__":
    main()
