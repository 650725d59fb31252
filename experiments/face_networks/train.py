"""Train a small face network: python experiments/face_networks/train.py parser --data DIR --annotations DIR --out DIR

NAME is parser, landmarks or identity. DIR are the folders that README.md describes. If interrupted, the same command
resumes from the last checkpoint.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from facehall.cli.experiments import experiment_parser
from facehall.faces.bundled import save_weights
from facehall.io.atomic import replacing
from tasks import TASKS, Task

SAVE_EVERY = 120  # seconds


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("name", choices=tuple(TASKS))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/, val/ and test/ of faces")
    parser.add_argument("--annotations", type=Path, required=True, help="folder of what facehall annotate wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, help="(the task's own)")
    parser.add_argument("--batch", type=int, help="(the task's own)")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    task = TASKS[options.name](options.data, options.annotations, options.out)
    steps, batch = options.steps or task.steps, options.batch or task.batch
    train(task, options.out, steps, batch, options.rate, options.seed)


def train(task: Task, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    """Train, or resume a training, and write OUT/NAME.safetensors whenever the validation is best."""
    out.mkdir(parents=True, exist_ok=True)
    network = task.network.to(memory_format=torch.channels_last)
    averaged = AveragedModel(network, multi_avg_fn=ema_update, use_buffers=True)
    optimizer = torch.optim.AdamW(parameter_groups(network), lr=rate, betas=(0.9, 0.99))
    state = {"step": 0, "seconds": 0.0, "best": -1e9}
    checkpoint = out / "last.pt"
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        state = saved["state"]
        network.load_state_dict(saved["network"])
        averaged.load_state_dict(saved["averaged"])
        optimizer.load_state_dict(saved["optimizer"])
    batches = task.batches(batch, seed, state["step"])
    print(
        f"{task.name}: {sum(p.numel() for p in network.parameters()):,} parameters, from step {state['step']}",
        flush=True,
    )
    total, count, before, saved_at = 0.0, 0, time.monotonic(), state["seconds"]
    while state["step"] < steps:
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(state["step"], steps)
        loss = task.loss(network.train(), next(batches))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(network)
        state["step"] += 1
        total, count = total + float(loss.detach()), count + 1
        state["seconds"] += time.monotonic() - before
        before = time.monotonic()
        if state["seconds"] - saved_at > SAVE_EVERY or state["step"] == steps:
            saved_at = state["seconds"]
            seen = task.validate(averaged.module.eval())
            row = {"step": state["step"], "minutes": state["seconds"] / 60, "loss": total / count, **seen}
            log(out / "log.csv", row)
            total, count = 0.0, 0
            score = next(iter(seen.values())) * task.better
            if score > state["best"]:
                state["best"] = score
                source = f"experiments/face_networks, {task.name}, step {state['step']}"
                save_weights(averaged.module, out / f"{task.name}.safetensors", source)
            parts = {"network": network, "averaged": averaged, "optimizer": optimizer}
            with replacing(checkpoint) as partial:
                torch.save({"state": state} | {name: part.state_dict() for name, part in parts.items()}, partial)
            before = time.monotonic()


def parameter_groups(network: nn.Module) -> list[dict[str, object]]:
    """Weight decay is for kernels and matrices, not for norms, biases and maps of positions."""
    kernels = [p for name, p in network.named_parameters() if p.ndim > 1 and name != "positions"]
    others = [p for name, p in network.named_parameters() if p.ndim <= 1 or name == "positions"]
    return [{"params": kernels, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}]


def schedule(step: int, steps: int) -> float:
    """Return the factor of the rate: 100 steps of warm-up, then a cosine to 1 %."""
    cosine = 0.5 + 0.5 * float(np.cos(np.pi * step / steps))
    return min(1.0, (step + 1) / 100) * max(0.01, cosine)


@torch.no_grad()
def ema_update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
    """Update an exponential moving average with a warm-up of its decay."""
    weight = float(1 - min(0.995, (1 + count) / (10 + count)))
    for old, new in zip(averaged, current, strict=True):
        if old.is_floating_point():
            old.lerp_(new, weight)
        else:
            old.copy_(new)


def log(path: Path, row: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
    print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
