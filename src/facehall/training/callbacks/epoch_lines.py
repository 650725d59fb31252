"""One console line per epoch, also for logs without a terminal."""

from __future__ import annotations

from collections.abc import Mapping

import lightning as L

from facehall.metrics.measures import Measure, headlines
from facehall.training.module import SuperResolution


class EpochLines(L.Callback):
    """Print each epoch's validation measures next to bicubic's."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        measures = [measure for measure in headlines(pl_module.protocol.measures) if f"val/{measure.name}" in values]
        if not trainer.is_global_zero or not measures:
            return
        phase = pl_module.curriculum.phase(pl_module.generator_step - 1)
        parts = [
            f"epoch {trainer.current_epoch + 1:3d}/{trainer.max_epochs}",
            f"step {pl_module.generator_step:5d}",
            f"{phase:4s}",
            *(compare_to_bicubic(measure, values) for measure in measures),
        ]
        print("  ".join(parts), flush=True)


def compare_to_bicubic(measure: Measure, values: Mapping[str, float]) -> str:
    """Format a value with its gain over bicubic, or with bicubic's own value if the measure has no unit."""
    value, bicubic = (values[f"val/{prefix}{measure.name}"] for prefix in ("", "bicubic_"))
    text = f"{measure.label} {measure.text(value, unit=True)}"
    if measure.unit:
        return f"{text} ({value - bicubic:+{measure.format}} over bicubic)"
    return f"{text} (bicubic {measure.text(bicubic)})"
