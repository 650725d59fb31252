"""Upscale pictures: ``python -m facehall.predict weights=FILE input=FILE_OR_DIR output=DIR``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.imaging import check_quality
from facehall.inference import Outcome, Predictor, plan
from facehall.inference.batch import upscale_files
from facehall.inference.picker import pick_weights


def predict(cfg: DictConfig) -> list[Outcome]:
    """Upscale a picture, a folder or a glob pattern; the config is conf/predict.yaml.

    Returns:
        The pictures that were written or skipped.

    Raises:
        FacehallError: if there is no input, or some pictures failed; the others have been written.
    """
    check_quality(cfg.quality, cfg.compression)
    jobs = plan(str(cfg.input), str(cfg.output), suffix=str(cfg.suffix), kind=cfg.format, recursive=cfg.recursive)
    weights = str(cfg.weights) if cfg.weights else pick_weights(Path(str(cfg.runs)))
    predictor = Predictor(weights, cfg.device, cfg.backend, cfg.tile, cfg.ensemble, cfg.fidelity)
    options = {"quality": cfg.quality, "compression": cfg.compression}
    report = upscale_files(predictor, jobs, cfg.overwrite, cfg.compare, **options)
    report.print_summary(f" to {cfg.output}, x{predictor.scale} with {weights}", overwrite_option="overwrite=true")
    return report.outcomes


main = entry_point("predict")(predict)

if __name__ == "__main__":
    main()
