"""Download a data set: ``python -m facehall.download data=div2k data.root=DIR``."""

from __future__ import annotations

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.sources.base import Fetchable
from facehall.errors import FacehallError
from facehall.io.logs import say


def download(cfg: DictConfig) -> None:
    """Download the pictures of the source configured in conf/download.yaml, skipping those present.

    Raises:
        FacehallError: the source cannot be downloaded, or the download fails.
    """
    source = build(cfg.data, "data")
    if not isinstance(source, Fetchable):
        raise FacehallError(f"{type(source).__name__} reads existing files and cannot be downloaded; data=div2k can.")
    say(source.fetch())


main = entry_point("download")(download)

if __name__ == "__main__":
    main()
