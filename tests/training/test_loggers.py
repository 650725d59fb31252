"""W&B: offline without a key, online with one, and no prompts."""

from types import SimpleNamespace

import pytest

from facehall.metrics.judges import JUDGES
from facehall.training.loggers import define_measures, has_key, wandb_logger


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "")  # so that the value set by the code is undone afterwards
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def mode_of(monkeypatch, tmp_path, **options):
    import os

    wandb_logger("facehall", "name", tmp_path / "name" / "time", **options)
    return os.environ["WANDB_MODE"]


def test_offline_without_a_key(monkeypatch, tmp_path):
    assert not has_key()
    assert mode_of(monkeypatch, tmp_path) == "offline"


def test_online_with_a_key_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert mode_of(monkeypatch, tmp_path) == "online"


def test_online_after_wandb_login(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    assert has_key()


def test_the_environment_overrides_the_config(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode_of(monkeypatch, tmp_path, mode="online") == "disabled"


def test_measures_are_declared_with_their_direction():
    defined = {}
    run = SimpleNamespace(define_metric=lambda name, **options: defined.update({name: options}))
    define_measures(SimpleNamespace(experiment=run), [JUDGES["psnr"].measure, JUDGES["lpips"].measure])
    assert {name: options["summary"] for name, options in defined.items()} == {
        "val/psnr": "max",
        "test/psnr": "max",
        "val/lpips": "min",
        "test/lpips": "min",
    }


def test_the_run_id_is_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = wandb_logger("facehall", "name", tmp_path / "name" / "2026-01-01_00-00-00")
    assert logger.version == "name-2026-01-01_00-00-00"
