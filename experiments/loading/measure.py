"""Compare the rate of loading patches with the rate at which the default model consumes them.

python experiments/loading/measure.py [data=folder data.root=FOLDER]
"""

from __future__ import annotations

import csv
import statistics
import tempfile
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from facehall.cli.experiments import add_overrides, experiment_parser
from facehall.config.assembly import assemble
from facehall.config.build import conf_dir
from facehall.config.resolvers import register_resolvers
from facehall.io.timing import interleaved, ratio
from facehall.losses import Outputs
from facehall.training.quiet import quieten

ROUNDS = 7


def main() -> None:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("results.csv"))
    add_overrides(parser)
    options = parser.parse_args()
    register_resolvers()
    quieten()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        overrides = ["experiment=esrgan_vgg16s", "logger=none", "metrics.lpips=none", f"run_dir={folder}"]
        overrides.append("patches.steps_per_epoch=100000")
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose("train", overrides=[*overrides, *options.overrides])
        training = assemble(cfg)
        batches = iter(training.datamodule.train_dataloader())
        module = training.module
        optimizers = module.configure_optimizers()[0]
        for _ in range(len(training.datamodule.survey.files["train"])):
            next(batches)
        for phase in ("psnr", "gan"):
            rows.append(row(phase, module, optimizers, batches, cfg.patches.batch_size))
            print(rows[-1], flush=True)
    with options.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def step(module, optimizers, batch, phase) -> None:
    """Run the computations of `SuperResolution.training_step` without logging."""
    weights = module.curriculum.weights(module.curriculum.end(phase) - 1)
    outputs = module.generator.outputs(batch["lr"])
    outputs["sr"] = outputs["pyramid"][module.generator.scale]
    if phase == "gan":
        logits = {"real_logits": batch["hr"], "fake_logits": outputs["sr"].detach()}
        logits = {name: module.discriminator(images) for name, images in logits.items()}
        module.discriminator_losses(Outputs(logits), batch, {"adversarial": 1.0})[0].backward()
        optimizers[1].step()
        optimizers[1].zero_grad()
    module.losses(module.passes.generator_outputs(outputs, batch), batch, weights)[0].backward()
    optimizers[0].step()
    optimizers[0].zero_grad()


def row(phase: str, module, optimizers, batches, batch_size: int) -> dict:
    """Interleave a step with loading 20 batches, in one process with the training's threads."""
    batch = next(batches)
    found = interleaved(
        {
            "step": lambda: step(module, optimizers, batch, phase),
            "load": lambda: [next(batches) for _ in range(20)],
        },
        ROUNDS,
    )
    stepping, loading = found["step"], [took / 20 for took in found["load"]]
    return {
        "phase": phase,
        "threads": torch.get_num_threads(),
        "step_patches_per_s": round(batch_size / statistics.median(stepping), 1),
        "loader_patches_per_s": round(batch_size / statistics.median(loading), 1),
        "ratio": round(ratio(stepping, loading), 1),
        "share_of_a_step_spent_loading": round(
            statistics.median(load / (s + load) for s, load in zip(stepping, loading, strict=True)), 4
        ),
    }


if __name__ == "__main__":
    main()
