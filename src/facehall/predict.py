"""Make pictures larger: ``python -m facehall.predict weights=FILE input=FILE_OR_DIR output=DIR``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from facehall.cli import entry_point
from facehall.errors import FacehallError
from facehall.imaging import list_images
from facehall.inference import Failure, Outcome, Predictor
from facehall.inference.picker import pick_weights


def predict(cfg: DictConfig) -> list[Outcome]:
    """Upscale a picture or a folder of them as conf/predict.yaml says.

    Returns:
        what was written or left alone.

    Raises:
        FacehallError: there is nothing to do, or some pictures failed; the others are done by then.
    """
    source, target = Path(str(cfg.input)), Path(str(cfg.output))
    if not source.exists():
        raise FacehallError(f"input={source}: there is no such file or folder.")
    count = 1 if source.is_file() else len(list_images(source))
    weights = Path(str(cfg.weights)) if cfg.weights else pick_weights(Path(cfg.runs))
    predictor = Predictor(weights, device=cfg.device, tile=cfg.tile)
    results = list(
        track(
            predictor.run(source, target, overwrite=cfg.overwrite), f"x{predictor.scale} on {predictor.device}", count
        )
    )
    outcomes = [result for result in results if isinstance(result, Outcome)]
    failures = [result for result in results if isinstance(result, Failure)]
    written = [outcome for outcome in outcomes if outcome.written]
    print(f"{len(written)} of {count} pictures written to {target}, x{predictor.scale} with {weights}")
    if len(written) < len(outcomes):
        kept = len(outcomes) - len(written)
        print(f"{kept} were there already and were left alone; overwrite=true replaces them")
    if failures:
        listed = "\n".join(f"  {failure.reason}" for failure in failures)
        raise FacehallError(f"{len(failures)} of {count} pictures failed:\n{listed}")
    return outcomes


main = entry_point("predict")(predict)

if __name__ == "__main__":
    main()
