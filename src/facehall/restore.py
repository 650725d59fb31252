"""Restore the faces in photographs: ``python -m facehall.restore input=FILE_OR_DIR output=DIR``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.imaging import check_quality
from facehall.inference import Outcome, plan
from facehall.inference.photograph_files import restore_files
from facehall.inference.photographs import PhotoRestorer
from facehall.inference.restoration.judging import load_helpers


def restore(cfg: DictConfig) -> list[Outcome]:
    """Restore the faces of a picture, a folder or a glob pattern; the config is conf/restore.yaml.

    Returns:
        The photographs that were written or skipped.

    Raises:
        FacehallError: if there is no input, or some photographs failed; the others have been written.
    """
    check_quality(cfg.quality, cfg.compression)
    jobs = plan(str(cfg.input), str(cfg.output), suffix=str(cfg.suffix), kind=cfg.format, recursive=cfg.recursive)
    weights = str(cfg.weights) if cfg.weights else None
    restorer = PhotoRestorer(
        weights,
        cfg.device,
        cfg.backend,
        cfg.tile,
        cfg.fidelity,
        cfg.scale,
        cfg.background,
        cfg.faces,
        cfg.min_face,
        cfg.consistent,
        **(load_helpers() if cfg.checked else {}),
    )
    results = restore_files(restorer, jobs, cfg.overwrite, cfg.draw, quality=cfg.quality, compression=cfg.compression)
    if cfg.report:
        results.write_json(Path(str(cfg.report)))
    destination = f" to {cfg.output}, x{cfg.scale} with {restorer.weights}"
    results.print_summary(destination, overwrite_option="overwrite=true")
    return results.outcomes


main = entry_point("restore")(restore)

if __name__ == "__main__":
    main()
