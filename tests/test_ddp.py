"""Distributed training on two CPU processes (gloo), through the real command."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from small import LIGHT, TINY, make_photographs

SCRIPT = """
import sys
import torch
from facehall import train as entry

def train(cfg):
    result = entry.train(cfg)
    trainer = result.training.trainer
    torch.save(
        {name: p.detach() for name, p in result.training.module.named_parameters()},
        f"{sys.argv[0]}.rank{trainer.global_rank}.pt",
    )
    return result

from facehall.cli import entry_point
if __name__ == "__main__":
    entry_point("train")(train)()
"""


@pytest.mark.slow
def test_two_processes_end_with_equal_parameters(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    data = make_photographs(tmp_path / "data", 8)
    overrides = [
        "experiment=esrgan_vgg16s",
        *TINY,
        *LIGHT,
        "trainer=ddp_cpu",
        "data=folder",
        f"data.root={data}",
        "data.val_fraction=0.4",
        "curriculum.psnr_steps=2",
        "curriculum.gan_steps=2",
        "curriculum.ramp_steps=1",
        "patches.steps_per_epoch=2",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]
    done = subprocess.run(
        [sys.executable, script, *overrides],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(f"{script}.rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert ranks[0].keys() == ranks[1].keys()
    for name, value in ranks[0].items():
        assert torch.equal(value, ranks[1][name]), name
    exported = load_file(tmp_path / "run" / "weights" / "generator.safetensors")
    assert all(torch.equal(value, ranks[0][f"generator.{name}"]) for name, value in exported.items())
    assert done.stdout.count("Done in") == 1  # only one process speaks
