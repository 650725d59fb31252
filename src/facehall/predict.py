"""Make pictures larger: ``python -m facehall.predict weights=FILE input=FILE_OR_DIR output=DIR``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from facehall.cli import entry_point
from facehall.errors import FacehallError
from facehall.inference import Failure, Job, Outcome, Predictor, plan
from facehall.inference.picker import pick_weights
from facehall.progress import progress_bar

LISTED = 20
"""How many failures are told one by one."""


def predict(cfg: DictConfig) -> list[Outcome]:
    """Upscale a picture or a folder of them as conf/predict.yaml says.

    Returns:
        what was written or left alone.

    Raises:
        FacehallError: there is nothing to do, or some pictures failed; the others are done by then.
    """
    jobs = plan(str(cfg.input), str(cfg.output))
    weights = Path(str(cfg.weights)) if cfg.weights else pick_weights(Path(str(cfg.runs)))
    predictor = Predictor(weights, device=cfg.device, tile=cfg.tile)
    title = f"upscaling x{predictor.scale} on {predictor.device}"
    results = []
    with progress_bar(title, len(jobs)) as advance:
        for result in predictor.run(jobs, overwrite=cfg.overwrite):
            results.append(result)
            advance()
    outcomes = [result for result in results if isinstance(result, Outcome)]
    failures = [result for result in results if isinstance(result, Failure)]
    written = sum(outcome.written for outcome in outcomes)
    print(f"{written} of {_pictures(len(jobs))} written to {cfg.output}, x{predictor.scale} with {weights}")
    _tell_peculiarities(jobs, kept=len(outcomes) - written)
    if failures:
        lines = [f"  {failure.reason}" for failure in failures[:LISTED]]
        if len(failures) > LISTED:
            lines.append(f"  and {len(failures) - LISTED} more")
        raise FacehallError("\n".join([f"{len(failures)} of {_pictures(len(jobs))} failed:", *lines]))
    return outcomes


def _tell_peculiarities(jobs: list[Job], kept: int) -> None:
    if kept:
        print(f"{kept} already there and left alone; overwrite=true replaces them")
    renamed = sorted({job.source.suffix or "no suffix" for job in jobs if job.renamed})
    if renamed:
        print(f"Files that are read but not written ({', '.join(renamed)}) became .png")


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


main = entry_point("predict")(predict)

if __name__ == "__main__":
    main()
