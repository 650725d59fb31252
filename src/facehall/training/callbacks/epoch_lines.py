"""One line an epoch, so that a log without a terminal tells the story too."""

from __future__ import annotations

import lightning as L

from facehall.training.module import SuperResolution


class EpochLines(L.Callback):
    """Prints what validation measured beside bicubic."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero or "val/psnr" not in values:
            return
        phase = pl_module.curriculum.phase(pl_module.generator_step - 1)
        parts = [
            f"epoch {trainer.current_epoch + 1:3d}/{trainer.max_epochs}",
            f"step {pl_module.generator_step:5d}",
            f"{phase:4s}",
            f"PSNR {values['val/psnr']:.2f} dB ({values['val/psnr_gain']:+.2f} over bicubic)",
            f"SSIM {values['val/ssim']:.4f} (bicubic {values['val/bicubic_ssim']:.4f})",
        ]
        if "val/lpips" in values:
            parts.append(f"LPIPS {values['val/lpips']:.4f} (bicubic {values['val/bicubic_lpips']:.4f})")
        print("  ".join(parts), flush=True)
