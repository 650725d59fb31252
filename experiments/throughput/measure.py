"""Compare facehall's default GAN step with a plain implementation, interleaved on the same batches.

python experiments/throughput/measure.py [--steps 300] [key=value …]

The plain implementation: eager, float32 (bfloat16 autocast on a GPU), NCHW, concatenating dense blocks, a separate
generator pass for each network's step, HR features computed like SR features, torch.optim.Adam with its defaults. A
second plain training, with initial weights perturbed by 1e-6, shows how far two such trainings drift apart anyway.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path

import lightning as L
import matplotlib.pyplot as plt
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from facehall.cli.experiments import add_overrides, experiment_parser
from facehall.config.assembly import assemble
from facehall.config.build import conf_dir
from facehall.config.resolvers import register_resolvers
from facehall.imaging import upscale_bicubic
from facehall.losses.perceptual import perceptual_distance
from facehall.models.generators import MultiScaleRRDB
from facehall.training import SuperResolution
from facehall.training.quiet import quieten

HERE = Path(__file__).parent
WARMUP = 10
OVERRIDES = ["experiment=esrgan_vgg16s_adam", "curriculum.psnr.steps=0", "curriculum.gan.ramp=100", "logger=none"]


class Plain:
    """The same networks, losses and rates in a straightforward implementation."""

    def __init__(self, module: SuperResolution, perturbation: float = 0.0) -> None:
        self.generator = MultiScaleRRDB(**module.generator.arguments).to(module.device)
        self.generator.load_state_dict(module.generator.state_dict())
        self.discriminator = copy.deepcopy(module.discriminator).to(memory_format=torch.contiguous_format)
        self.extractor = copy.deepcopy(module.losses["perceptual"].extractor.network).to(
            memory_format=torch.contiguous_format
        )
        with torch.no_grad():
            for parameter in self.generator.parameters():
                parameter.add_(perturbation * torch.randn_like(parameter))
        self.losses, self.curriculum = module.losses, module.curriculum
        self.layers = module.losses["perceptual"].layers
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
            for network, rate in ((self.generator, 5e-4), (self.discriminator, 1e-4))
        ]
        self.schedulers = [
            factory(optimizer)
            for (_, factory), optimizer in zip(module.factories, self.optimizers, strict=True)
            if factory is not None
        ]
        on_gpu = module.device.type == "cuda"
        self.precision = torch.autocast("cuda", torch.bfloat16) if on_gpu else contextlib.nullcontext()
        self.steps = 0

    def step(self, lr: torch.Tensor, hr: torch.Tensor) -> dict[str, float]:
        loss = self.losses["adversarial"].gan
        with self.precision:
            sr = self.generator(lr)
            d_loss = loss.discriminator(self.discriminator(hr).float(), self.discriminator(sr.detach()).float())
        self._update(1, d_loss)
        weights = self.curriculum.weights(self.steps)
        with self.precision:
            pyramid = self.generator.pyramid(lr)
            sr = pyramid[self.generator.scale]
            pixel = self.losses["pixel"]({"pyramid": pyramid}, {"hr": hr})
            perceptual = perceptual_distance(self.extractor(sr), self.extractor(hr), self.layers)
            adversarial = loss.generator(self.discriminator(hr).float(), self.discriminator(sr).float())
        total = weights["pixel"] * pixel
        total = total + weights.get("perceptual", 0) * perceptual + weights.get("adversarial", 0) * adversarial
        self._update(0, total)
        self.steps += 1
        return {"pixel": pixel.item(), "perceptual": perceptual.item(), "adversarial": adversarial.item()}

    def _update(self, index: int, loss: torch.Tensor) -> None:
        self.optimizers[index].zero_grad()
        loss.backward()
        self.optimizers[index].step()
        self.schedulers[index].step()


class PlainTrainings(L.Callback):
    """Time each step of the training, and run the plain trainings on the same batch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_start(self, trainer, pl_module) -> None:
        self.plain, self.nudged = Plain(pl_module), Plain(pl_module, perturbation=1e-6)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.started = now(pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        row = {"step": pl_module.generator_step, "facehall_s": now(pl_module) - self.started}
        for name in ("pixel", "perceptual", "adversarial"):
            row[f"facehall_{name}"] = trainer.callback_metrics[f"train/{name}_step"].item()
        started = now(pl_module)
        row |= {f"plain_{name}": value for name, value in self.plain.step(batch["lr"], batch["hr"]).items()}
        row["plain_s"] = now(pl_module) - started
        row |= {f"nudged_{name}": value for name, value in self.nudged.step(batch["lr"], batch["hr"]).items()}
        self.rows.append(row)


def now(module: nn.Module) -> float:
    if module.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--steps", type=int, default=300)
    add_overrides(parser)
    options = parser.parse_args()
    steps, overrides = options.steps, options.overrides
    register_resolvers()
    quieten()
    with tempfile.TemporaryDirectory() as folder:
        lengths = [f"curriculum.gan.steps={steps}", f"patches.steps_per_epoch={steps}", f"run_dir={folder}"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose("train", overrides=[*OVERRIDES, *lengths, *overrides])
        training = assemble(cfg)
        others = PlainTrainings()
        training.trainer.callbacks.append(others)
        training.trainer.fit(training.module, training.datamodule)
        levels = validation(training.module, training.datamodule, others)
    write(others.rows, {choice.name: str(choice.value) for choice in training.performance}, levels)


@torch.no_grad()
def validation(module: SuperResolution, datamodule, others: PlainTrainings) -> dict[str, float]:
    """Return the PSNR in dB of the three live generators on the validation images."""
    networks = {"bicubic": None, "facehall": module.generator}
    networks |= {"plain": others.plain.generator, "nudged": others.nudged.generator}
    protocol = module.protocol.to(module.device)
    levels: dict[str, list[float]] = {name: [] for name in networks}
    for batch in datamodule.val_dataloader():
        lr, hr = batch["lr"].to(module.device), batch["hr"].to(module.device)
        for name, network in networks.items():
            sr = upscale_bicubic(lr, module.generator.scale) if network is None else network(lr)
            levels[name].append(protocol(sr, hr)["psnr"].item())
    return {name: statistics.mean(values) for name, values in levels.items()}


def write(rows: list[dict[str, float]], performance: dict[str, str], levels: dict[str, float]) -> None:
    timed = rows[WARMUP:]
    seconds = {name: statistics.median(row[f"{name}_s"] for row in timed) for name in ("facehall", "plain")}
    ratios = [row["plain_s"] / row["facehall_s"] for row in timed]
    last = rows[-len(rows) // 3 :]
    summary = {
        "device": torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {torch.get_num_threads()} threads",
        "performance": performance,
        "steps": len(rows),
        "median seconds a step": {name: round(value, 4) for name, value in seconds.items()},
        "ratio of the medians": round(seconds["plain"] / seconds["facehall"], 3),
        "median of the ratios": round(statistics.median(ratios), 3),
        "mean of the last third": {
            f"{name} {term}": round(statistics.mean(row[f"{name}_{term}"] for row in last), 6)
            for term in ("pixel", "perceptual", "adversarial")
            for name in ("facehall", "plain", "nudged")
        },
        "validation PSNR of the live generators": {name: round(value, 4) for name, value in levels.items()},
    }
    (HERE / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    with (HERE / "steps.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)
    draw(rows)


def draw(rows: list[dict[str, float]]) -> None:
    """Plot the loss terms of the three trainings, as running means of 15 steps."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for axis, term in zip(axes, ("pixel", "perceptual", "adversarial"), strict=True):
        for name, style in (("plain", "-"), ("nudged", ":"), ("facehall", "-")):
            values = torch.tensor([row[f"{name}_{term}"] for row in rows]).unfold(0, min(15, len(rows)), 1).mean(1)
            axis.plot(values, style, label=name, linewidth=1.2)
        axis.set_title(term)
        axis.set_xlabel("step")
    axes[0].legend()
    figure.savefig(HERE / "losses.png", dpi=110)


if __name__ == "__main__":
    main()
