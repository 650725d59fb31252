"""Compare CUDA with the CPU: check.py [--results results.csv]

Every generator of conf/generator and every packaged network on both devices in float32 (without TF32), and in bfloat16;
then short trainings of the default experiment on the GPU: plain, compiled, interrupted and resumed.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from facehall.cli.experiments import experiment_parser
from facehall.config.build import build
from facehall.config.resolvers import register_resolvers
from facehall.imaging import upscale_bicubic
from facehall.inference import Predictor
from facehall.io.conf import conf_dir
from facehall.models.pretrained import bundled_names

Row = dict[str, str | float]
SCALES = (4, 8, 2)
STEPS = 6


def generators() -> list[tuple[str, nn.Module]]:
    """Build every option of conf/generator, at the first scale that it supports."""
    found = []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for path in sorted((conf_dir() / "generator").glob("*.yaml")):
            for scale in SCALES:
                try:
                    cfg = compose("train", overrides=[f"generator={path.stem}", f"scale={scale}"])
                    torch.manual_seed(0)
                    found.append((path.stem, build(cfg.generator, "generator").eval()))
                    break
                except Exception as error:  # another scale may do
                    print(f"{path.stem} x{scale}: {type(error).__name__}: {str(error)[:100]}", flush=True)
    return found


def randomise(network: nn.Module) -> None:
    """Give layers that start at zero a value, so that the comparison sees them."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)


@torch.no_grad()
def compare(name: str, network: nn.Module) -> Row:
    """Return the largest differences of the outputs, in levels of 8 bits."""
    randomise(network)
    lr = torch.rand(1, 1 if network.colour == "y" else 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if network.input == "bicubic":
        lr = upscale_bicubic(lr, network.scale)
    known = network(lr)
    network.cuda()
    plain = network(lr.cuda()).cpu()
    with torch.autocast("cuda", torch.bfloat16):
        half = network(lr.cuda()).float().cpu()
    return {"what": f"generator={name}", "float32": levels(plain, known), "bfloat16": levels(half, known), "note": ""}


def levels(a: Tensor, b: Tensor) -> float:
    return 255 * (a - b).abs().max().item()


def packaged(name: str) -> Row:
    lr = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    outputs = [Predictor(name, device=device).super_resolve(lr).cpu() for device in ("cpu", "cuda")]
    return {"what": name, "float32": levels(*outputs), "bfloat16": "", "note": "through Predictor"}


def training(label: str, folder: Path, arguments: list[str]) -> Row:
    command = [
        *(sys.executable, "-m", "facehall.train", "experiment=esrgan_vgg16s", "trainer=gpu", "logger=none"),
        *(f"training.steps_per_phase={STEPS}", f"patches.steps_per_epoch={STEPS}", "patches.batch_size=4"),
        *(f"hydra.run.dir={folder}", "trainer.enable_progress_bar=false", "runtime.workers=2", *arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    print(label, done.stdout[-1500:], done.stderr[-1500:], flush=True)
    return {"what": f"training: {label}", "float32": "", "bfloat16": "", "note": f"exit status {done.returncode}"}


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("results.csv"))
    options = parser.parse_args()
    register_resolvers()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        print(*row.values(), flush=True)
        with options.results.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["what", "float32", "bfloat16", "note"])
            writer.writeheader()
            for each in rows:
                writer.writerow({key: f"{v:.4g}" if isinstance(v, float) else v for key, v in each.items()})

    with tempfile.TemporaryDirectory() as folder:
        add(training("default experiment", Path(folder) / "a", ["runtime.compile=false"]))
        add(training("resumed", Path(folder) / "a", [f"resume={folder}/a", f"training.steps_per_phase={2 * STEPS}"]))
        add(training("float32, compiled", Path(folder) / "b", ["trainer.precision=32-true", "runtime.compile=true"]))
        add(training("float16", Path(folder) / "c", ["trainer.precision=16-mixed", "runtime.compile=false"]))
        add(training("Muon", Path(folder) / "d", ["optimizer=muon", "runtime.compile=false"]))
    for name in bundled_names():
        add(packaged(name))
    for name, network in generators():
        try:
            add(compare(name, network))
        except Exception as error:
            what, note = f"generator={name}", f"{type(error).__name__}: {error}"[:200]
            add({"what": what, "float32": "", "bfloat16": "", "note": note})


if __name__ == "__main__":
    main()
