"""Suppression of Lightning's tips and of warnings that do not apply here."""

from __future__ import annotations

import logging
import warnings


def quieten() -> None:
    """Silence Lightning's tips, and its warnings about deliberate choices."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # on two cores, worker processes do not pay off
        ".*Checkpoint directory .* exists and is not empty.*",  # expected on resuming
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*recommended to use `self.log\\(.*sync_dist=True\\)`.*",  # torchmetrics synchronises our means
        ".*module\\(s\\) in eval mode at the start of training.*",  # frozen networks and the averaged generator
        ".*isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # internal to Lightning and torch
        ".*find_unused_parameters=True was specified.*",  # needed: each backward pass reaches one of the two networks
    ):
        warnings.filterwarnings("ignore", message=message)
