"""Get a data set, where there is a network: ``python -m facehall.download data=div2k data.root=DIR``."""

from __future__ import annotations

from omegaconf import DictConfig

from facehall.cli.hydra_app import entry_point
from facehall.config.build import build
from facehall.data.sources.base import Fetchable
from facehall.errors import FacehallError
from facehall.io.logs import say


def download(cfg: DictConfig) -> None:
    """Get the pictures of a data source as conf/download.yaml says; what is there already is not fetched again.

    Raises:
        FacehallError: the source is not one to be downloaded, or it cannot be had.
    """
    source = build(cfg.data, "data")
    if not isinstance(source, Fetchable):
        raise FacehallError(f"{type(source).__name__} is of files that are there already: download data=div2k.")
    say(source.fetch())


main = entry_point("download")(download)

if __name__ == "__main__":
    main()
