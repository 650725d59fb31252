"""Descriptions of loss terms in a training's first lines: every file of conf/losses, and a term without details."""

import pytest
from omegaconf import OmegaConf
from torch import nn

from facehall.assets import WeightsNotFoundError
from facehall.config.build import build, conf_dir
from facehall.losses import LossTerm, PerceptualLoss

FILES = sorted((conf_dir() / "losses").glob("*.yaml"))


def terms(path):
    """Build the loss terms that a file configures."""
    config = OmegaConf.load(path)
    if "_target_" in config:
        return [build(config, path.stem)]
    return [build(node, path.stem) for group in config.values() for node in group.values()]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_term_is_described_in_a_few_words(path, pretrained, monkeypatch):
    if path.stem == "identity":  # 145 MB, which the suite does not fetch
        monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    try:
        built = terms(path)
    except WeightsNotFoundError as error:
        if path.stem != "identity":
            raise
        pytest.skip(f"the recognition network is not on this machine: {error}")
    for term in built:
        assert isinstance(term, LossTerm)
        words = term.description.split()
        assert words
        assert words[-1] not in ("at", "x")
        assert len(words) < 20


def test_a_term_without_details_is_described_by_its_name():
    assert PerceptualLoss(nn.Identity(), {}).description == "Identity"
