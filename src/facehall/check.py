"""Check the pictures of a source before training: ``python -m facehall.check data=folder data.root=DIR``."""

from __future__ import annotations

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.patches.checks import Survey


def check(cfg: DictConfig) -> Survey:
    """Report unusable pictures and conversions, and fill the store for training.

    Raises:
        FacehallError: a picture cannot be used and patches.checks is not skip; the message is the report.
    """
    survey: Survey = build(cfg.patches, "patches", source=build(cfg.data, "data")).survey
    if report := survey.report():
        print(report)
    counts = ", ".join(f"{len(files)} {which}" for which, files in survey.files.items())
    print(f"{survey.checked - len(survey.problems)} of {survey.checked} pictures can be used: {counts}.")
    return survey


main = entry_point("check")(check)

if __name__ == "__main__":
    main()
