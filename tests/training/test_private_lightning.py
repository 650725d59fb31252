"""Lightning's private attributes that facehall uses: a release without one of them fails here, by name.

They are why pyproject.toml requires Lightning below 2.7. Check each user (third column) before raising that bound.
"""

import ast
import inspect
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import subprocess_script
from lightning.pytorch.trainer.connectors.logger_connector import result

import facehall

SOURCE = Path(facehall.__file__).parent


@pytest.fixture(scope="module")
def trainer():
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(accelerator="cpu", devices=1, enable_checkpointing=False, max_epochs=1, **quiet)


def metric():
    meta = result._Metadata("on_train_batch_end", "loss", on_epoch=True)
    meta.sync = result._Sync(_should=False, fn=None)
    return result._ResultMetric(meta, is_tensor=True)


PRIVATE = [
    ("trainer", "_logger_connector", "training/callbacks/checkpoint.py"),
    ("trainer._logger_connector", "on_batch_end", "training/callbacks/checkpoint.py"),
    ("trainer._logger_connector", "update_train_step_metrics", "training/callbacks/checkpoint.py"),
    ("trainer.fit_loop.epoch_loop", "batch_progress", "training/callbacks/checkpoint.py"),
    ("trainer.fit_loop.epoch_loop.batch_progress", "is_last_batch", "training/callbacks/checkpoint.py"),
    ("trainer.fit_loop.epoch_loop.val_loop", "batch_progress", "training/callbacks/checkpoint.py"),
    ("trainer.fit_loop.epoch_loop", "_results", "training/checkpointing/state.py"),
    ("result", "_ResultMetric", "training/checkpointing/state.py"),
    ("result", "_Metadata", "training/checkpointing/state.py"),
    ("result", "_Sync", "training/checkpointing/state.py"),
    *(
        ("metric", name, "training/checkpointing/state.py")
        for name in ("meta", "value", "has_reset", "is_tensor", "_forward_cache", "_update_count")
    ),
    *(
        ("metric.meta", name, "training/checkpointing/state.py")
        for name in ("reduce_fx", "sync", "is_mean_reduction", "is_max_reduction", "is_min_reduction")
    ),
    ("metric.meta.sync", "should", "training/checkpointing/state.py"),
    ("launchers", "_SubprocessScriptLauncher", "distributed/ddp.py"),
    ("launchers._SubprocessScriptLauncher", "_call_children_scripts", "distributed/ddp.py"),
    ("launcher", "procs", "distributed/ddp.py"),
    ("strategy", "_configure_launcher", "distributed/ddp.py"),
    ("strategy", "_launcher", "distributed/ddp.py"),
    ("strategy", "_layer_sync", "distributed/ddp.py"),
]
"""(owner, attribute, file that uses it)."""


@pytest.mark.parametrize(("owner", "name", "user"), PRIVATE)
def test_lightning_still_has(trainer, owner, name, user):
    first, *path = owner.split(".")
    launcher = subprocess_script._SubprocessScriptLauncher(None, 1, 1) if first == "launcher" else None
    known = {"trainer": trainer, "result": result, "launchers": subprocess_script, "launcher": launcher}
    node = {**known, "metric": metric() if first == "metric" else None, "strategy": DDPStrategy()}[first]
    for part in path:
        node = getattr(node, part)
    assert hasattr(node, name), (
        f"Lightning {L.__version__} no longer has {owner}.{name}, which src/facehall/{user} uses. Adapt that file, or "
        "require a lightning below this version in pyproject.toml."
    )


def test_private_arguments():
    assert {"_should", "fn"} <= set(inspect.signature(result._Sync).parameters)
    fields = {"fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "reduce_fx"}
    assert fields <= set(inspect.signature(result._Metadata).parameters)


def test_means_keep_their_sums_in_the_expected_attributes(trainer):
    logged = metric()
    logged.update(torch.tensor(3.0), 2)
    assert float(logged.value) == 6
    assert float(logged.cumulated_batch_size) == 2


OTHERS = ("self", "cls", "super()", "torch", "dist", "os")
"""Owners of private names that are not Lightning's: torch has its own."""


def private_names(path):
    """Names with an underscore that a file imports from Lightning, or accesses on another object."""
    tree = ast.parse(path.read_text())
    if "lightning" not in path.read_text():
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning"):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node.value)
            if owner.split(".")[0] not in OTHERS or owner.startswith("self.trainer"):
                yield node.attr


def test_every_private_name_in_use_is_listed():
    listed = {name for _, name, _ in PRIVATE}
    used = {name: path for path in SOURCE.rglob("*.py") for name in private_names(path)}
    missing = {name: str(path.relative_to(SOURCE)) for name, path in used.items() if name not in listed}
    assert not missing, f"private names missing from PRIVATE: {missing}"
    assert {"_logger_connector", "_results", "_ResultMetric", "_SubprocessScriptLauncher"} <= set(used)
