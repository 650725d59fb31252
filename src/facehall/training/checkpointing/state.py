"""Training state that Lightning's checkpoints omit: random states, and the running sums behind epoch means."""

from __future__ import annotations

import random
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torch import Tensor

State = dict[str, Any]


def random_state(device: torch.device) -> State:
    """Return the states of the global Python, numpy and torch generators, and of the CUDA device's generator."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # used by third-party code only
    state: State = {
        "python": random.getstate(),
        "numpy": (name, torch.tensor(np.asarray(keys, np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: State, device: torch.device) -> None:
    """Restore what `random_state` returned."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


class LoggedSums:
    """The sums of `log(on_epoch=True)` in an unfinished epoch, preserved across an interruption.

    Lightning drops them, so that an interrupted epoch's means would only cover its remainder. They are added to the new
    sums key by key as these appear, in the order of an uninterrupted run: the means are equal bit for bit.

    Args:
        trainer: the trainer whose training loop logs.
        earlier: result of `state` at the interruption.
    """

    def __init__(self, trainer: L.Trainer, earlier: State | None = None) -> None:
        self.trainer = trainer
        self.earlier = dict(earlier or {})
        self._rebuilt: list[str] = []

    def state(self) -> State:
        """Return {key: plain values and tensors}: the sums so far, including those from before the interruption."""
        results = self.trainer.fit_loop.epoch_loop._results
        known = {key: _plain(metric) for key, metric in results.items() if metric.is_tensor and not metric.has_reset}
        return {**self.earlier, **known}

    def merge(self, restore_all: bool = False) -> None:
        """Add the earlier sums to the current ones.

        Args:
            restore_all: also restore sums that were not logged again, since the epoch has no further steps.
        """
        results = self.trainer.fit_loop.epoch_loop._results
        for key in list(self.earlier):
            if key in results and not results[key].has_reset:
                _add(results[key], self.earlier.pop(key))
            elif restore_all:
                results[key] = self._rebuild(self.earlier.pop(key))
                self._rebuilt.append(key)

    def begin_epoch(self) -> None:
        """Drop the restored sums, so that Lightning starts new ones."""
        self.earlier.clear()
        while self._rebuilt:
            self.trainer.fit_loop.epoch_loop._results.pop(self._rebuilt.pop(), None)

    def _rebuild(self, state: State) -> _ResultMetric:
        meta = _Metadata(**state["meta"], reduce_fx=getattr(torch, state["reduce"]))
        meta.sync = _Sync(_should=state["sync"], fn=self.trainer.strategy.reduce)
        metric = _ResultMetric(meta, is_tensor=True)
        for name, value in state["values"].items():
            setattr(metric, name, value)
        metric._update_count = 1
        return metric.to(self.trainer.strategy.root_device)


def _plain(metric: _ResultMetric) -> State:
    meta, values = metric.meta, {"value": metric.value, "_forward_cache": metric._forward_cache}
    if meta.is_mean_reduction:
        values["cumulated_batch_size"] = metric.cumulated_batch_size
    return {
        "meta": {name: getattr(meta, name) for name in ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch")},
        "reduce": meta.reduce_fx.__name__,
        "sync": meta.sync.should,
        "values": {name: value for name, value in values.items() if isinstance(value, Tensor)},
    }


def _add(metric: _ResultMetric, earlier: State) -> None:
    if not metric.meta.on_epoch:  # only the latest value counts
        return
    values = {name: value.to(metric.value.device) for name, value in earlier["values"].items()}
    if metric.meta.is_max_reduction or metric.meta.is_min_reduction:
        metric.value = getattr(torch, f"{metric.meta.reduce_fx.__name__}imum")(values["value"], metric.value)
        return
    metric.value = values["value"] + metric.value
    if metric.meta.is_mean_reduction:
        metric.cumulated_batch_size = values["cumulated_batch_size"] + metric.cumulated_batch_size
