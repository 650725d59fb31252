"""How the process uses its machine: threads, and what stays quiet."""

from __future__ import annotations

import logging
import warnings

import torch


def set_threads(threads: int | None) -> int:
    """Use this many intra-op threads, None for torch's own choice (one a core); the number in force is returned.

    Raises:
        ValueError: fewer than one.
    """
    if threads is not None:
        if threads < 1:
            raise ValueError(f"runtime.threads is at least 1, or null for one a core, not {threads}")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def quieten() -> None:
    """Silence what Lightning says of itself: its tips and its advice for other kinds of training."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # on two cores, worker processes cost more than they bring
        ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run's own
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*recommended to use `self.log\\(.*sync_dist=True\\)`.*",  # our means are gathered by torchmetrics
        ".*module\\(s\\) in eval mode at the start of training.*",  # the frozen networks and the average
        ".*isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # Lightning's own affair with torch
        ".*find_unused_parameters=True was specified.*",  # needed: each backward reaches one of the two networks
    ):
        warnings.filterwarnings("ignore", message=message)
