"""What stays quiet."""

from __future__ import annotations

import logging
import warnings


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
