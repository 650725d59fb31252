"""torch.compile in a training: tried where it may pay off, reported, and without effect on the trained weights."""

import json
import multiprocessing
import os
import traceback
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from small import LIGHT, TINY
from torch import distributed as dist

from facehall.distributed.batch_norm import SyncBatchNorm, SyncedBatchNorm2d
from facehall.train import train
from facehall.training.callbacks import Compile
from facehall.training.callbacks.compile import Pass, networks

SMALLEST = ["scale=2", "generator.dense_blocks=1", "++generator.memory=naive"]  # memory as in compiled networks
SHORT = ["curriculum.psnr.steps=2", "curriculum.gan.steps=2", "curriculum.gan.ramp=1", "patches.steps_per_epoch=2"]
DYNAMO = "+callbacks.compile.backend=eager"  # traces and runs the same operations, without a minute of compiling


@pytest.fixture
def run(compose_config, tmp_path, capsys):
    def start(*overrides):
        folder = f"run_dir={tmp_path / str(len(list(tmp_path.iterdir())))}"
        base = ["experiment=esrgan_vgg16s", *TINY, *SMALLEST, *SHORT, *LIGHT, folder]
        return train(compose_config("train", *base, *overrides)).training, capsys.readouterr().out

    return start


@pytest.mark.slow
def test_trained_weights_do_not_depend_on_a_trial_or_its_outcome(run):
    plain, _ = run("runtime.compile=false")
    tried, lines = run("callbacks.compile.min_minutes=0", DYNAMO)
    forced, forced_lines = run("runtime.compile=true", DYNAMO)
    for other in (tried, forced):
        state = other.module.state_dict()
        for name, tensor in plain.module.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(tensor, state[name]), name
    assert "discriminator: " in lines
    assert "times as fast as eager in a trial" in lines
    assert "torch.compile of generator, discriminator: yes, as set" in forced_lines
    assert "pyramid" in vars(forced.module.generator)
    assert "pyramid" not in vars(plain.module.generator)


def test_a_short_training_is_not_compiled(run):
    training, lines = run()
    assert "too few to repay a trial" in lines
    assert "pyramid" not in vars(training.module.generator)


def test_a_failing_compiler_leaves_the_eager_network():
    def broken(graph, inputs):
        raise RuntimeError("no C++ compiler\nand more")

    images = torch.rand(1, 3, 4, 4)
    network = torch.nn.Conv2d(3, 3, 3)
    trial = Compile(backend=broken)._trial(network, Pass(images, list(network.parameters()), nullcontext))
    assert trial.error.startswith("it failed")
    assert "\n" not in trial.error


def test_a_resumed_training_keeps_its_choice():
    first, second = Compile(), Compile()
    first.chosen = {"generator": True}
    second.load_state_dict(first.state_dict())
    assert second.chosen == {"generator": True}
    assert second.reasons == {"generator": "as chosen before resuming"}


def test_an_unknown_mode_is_rejected():
    with pytest.raises(ValueError, match="auto, true or false"):
        Compile("maybe")


@pytest.fixture
def two_processes(tmp_path, make_module, monkeypatch):
    """Let `Compile` choose on each of two forked processes (gloo) that synchronise batch norm."""

    def choose(callback, seconds):
        def run(rank):
            store = dist.FileStore(str(tmp_path / "store"), 2)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
            monkeypatch.setattr(Pass, "seconds", lambda *args, **options: seconds[rank](measure(*args, **options)))
            module = make_module(psnr_steps=0, gan_steps=60)
            SyncBatchNorm().apply(module)
            strategy = DDPStrategy(parallel_devices=[torch.device("cpu")] * 2)
            strategy.cluster_environment = SimpleNamespace(local_rank=lambda: rank, world_size=lambda: 2)
            trainer = SimpleNamespace(
                strategy=strategy,
                precision_plugin=SimpleNamespace(train_step_context=nullcontext),
                datamodule=SimpleNamespace(batch_size=2, patch_size=8, scale=2),
            )
            callback(rank)._choose(networks(module), trainer, module)
            assert any(type(layer) is SyncedBatchNorm2d for layer in module.modules())

        measure = Pass.seconds
        return in_processes(run, tmp_path)

    return choose


def in_processes(run, folder):
    """Call run(rank) in two forks of this process; both must end without an error."""

    def child(rank):
        try:
            run(rank)
        except BaseException:
            (folder / f"{rank}.txt").write_text(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=child, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        process.kill()
        process.join()
    errors = [path.read_text() for path in sorted(folder.glob("*.txt"))]
    assert [process.exitcode for process in processes] == [0, 0], errors


class FakeCompile(Compile):
    """Uses the eager function as its compiled version, and writes its choice to a file."""

    def __init__(self, path, fails=False, **options):
        super().__init__(**options)
        self.path, self.fails = path, fails

    def _compiled(self, function):
        def compiled(images):
            if self.fails:
                raise RuntimeError("no C++ compiler")
            return function(images)

        return compiled

    def _choose(self, *args):
        super()._choose(*args)
        self.path.write_text(json.dumps(self.chosen))


def chosen(folder):
    first, second = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    assert first == second
    return set(first.values())


@pytest.mark.parametrize(("seconds", "outcome"), [((60.0, 1e-9), True), ((1e-9, 60.0), False)])
def test_processes_with_different_timings_choose_alike(two_processes, tmp_path, seconds, outcome):
    """To one of them the training seems too short for a trial: the first decides."""
    callback = lambda rank: FakeCompile(tmp_path / f"{rank}.json", min_minutes=1, gain=0)  # noqa: E731
    two_processes(callback, {rank: lambda _, fake=fake: fake for rank, fake in enumerate(seconds)})
    assert chosen(tmp_path) == {outcome}


def test_no_process_compiles_if_one_cannot(two_processes, tmp_path):
    two_processes(
        lambda rank: FakeCompile(tmp_path / f"{rank}.json", min_minutes=0, gain=0, fails=rank == 1), [lambda s: s] * 2
    )
    assert chosen(tmp_path) == {False}
