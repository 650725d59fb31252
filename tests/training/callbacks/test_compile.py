"""torch.compile in a training: tried where it may pay, told, and without a trace in what is learnt."""

from contextlib import nullcontext

import pytest
import torch
from small import LIGHT, TINY

from facehall.train import train
from facehall.training.callbacks import Compile
from facehall.training.callbacks.compile import Pass

NAIVE = "++generator.memory=naive"  # as it is when compiled
SHORT = ["curriculum.psnr.steps=2", "curriculum.gan.steps=2", "curriculum.gan.ramp=1", "patches.steps_per_epoch=2"]
DYNAMO = "+callbacks.compile.backend=eager"  # traces and runs the same operations, without a minute of compiling


@pytest.fixture
def run(compose_config, tmp_path, capsys):
    def start(*overrides):
        folder = f"run_dir={tmp_path / str(len(list(tmp_path.iterdir())))}"
        base = ["experiment=esrgan_vgg16s", *TINY, *SHORT, *LIGHT, NAIVE, folder]
        return train(compose_config("train", *base, *overrides)).training, capsys.readouterr().out

    return start


def test_what_is_learnt_does_not_depend_on_a_trial_or_its_outcome(run):
    plain, _ = run("runtime.compile=false")
    tried, lines = run("callbacks.compile.worth=0", DYNAMO)
    forced, told = run("runtime.compile=true", DYNAMO)
    for other in (tried, forced):
        state = other.module.state_dict()
        for name, tensor in plain.module.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(tensor, state[name]), name
    assert "discriminator: " in lines
    assert "times as fast as eager in a trial" in lines
    assert "torch.compile of generator, discriminator: yes, as set" in told
    assert "pyramid" in vars(forced.module.generator)
    assert "pyramid" not in vars(plain.module.generator)


def test_a_short_training_is_left_alone(run):
    training, lines = run()
    assert "too few to repay a trial" in lines
    assert "pyramid" not in vars(training.module.generator)


def test_a_compiler_that_fails_leaves_the_eager_network():
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler\nand more")

    images = torch.rand(1, 3, 4, 4)
    network = torch.nn.Conv2d(3, 3, 3)
    chosen, reason = Compile(backend=broken)._trial(network, Pass(images, list(network.parameters()), nullcontext))
    assert not chosen
    assert reason.startswith("it failed")


def test_a_resumed_training_keeps_what_was_chosen():
    first, second = Compile(), Compile()
    first.chosen = {"generator": True}
    second.load_state_dict(first.state_dict())
    assert second.chosen == {"generator": True}
    assert second.reasons == {"generator": "as before the interruption"}


def test_modes():
    with pytest.raises(ValueError, match="auto, true or false"):
        Compile("maybe")
