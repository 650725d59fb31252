"""How optimizers get their parameters, from every option of the config, and what they reject."""

from functools import partial

import pytest
import torch
from optimizer_steps import convolutions, random_gradients, values
from torch import nn

from facehall.config.build import build, conf_dir
from facehall.errors import FacehallError
from facehall.training.optimizers import SOAP, ClippedSGD, Lion, Muon, ScheduleFreeAdamW, build_optimizer
from facehall.training.optimizers.groups import matrix_groups

OPTIONS = sorted(path.stem for path in (conf_dir() / "optimizer").glob("*.yaml"))
WITH_BETAS = (Muon, SOAP, Lion, ScheduleFreeAdamW)
ALL = (*WITH_BETAS, ClippedSGD)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_builds_and_moves_every_parameter_once(compose_config, option):
    cfg = compose_config("train", f"optimizer={option}", "runtime.fused=false")
    for network in ("generator", "discriminator"):
        model = convolutions()
        optimizer = build_optimizer(build(cfg.optimizer[network], f"optimizer.{network}"), model)
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        assert len(held) == len({id(p) for p in held}) == len(list(model.parameters()))
        before = values(model)
        for step in range(2):  # SOAP's first step only sets its bases
            random_gradients(model, step)
            optimizer.step()
        assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_plain_optimizers_get_the_parameters():
    optimizer = build_optimizer(partial(torch.optim.SGD, lr=1.0), convolutions())
    assert len(optimizer.param_groups[0]["params"]) == 14


def test_muon_has_a_rate_for_each_kind_of_parameter():
    optimizer = Muon(convolutions(), lr=0.1, muon_lr=0.2)
    assert [(group["kind"], group["lr"], len(group["params"])) for group in optimizer.param_groups] == [
        ("adam", 0.1, 9),  # the biases and the two layers at the images
        ("matrix", 0.2, 5),
    ]


def test_a_network_may_declare_its_matrices():
    model = convolutions()
    model.matrix_parameters = lambda: {"2.weight": model[2].weight}
    matrices, others = matrix_groups(model)
    assert [id(p) for p in matrices] == [id(model[2].weight)]
    assert len(others) == 13


@pytest.mark.parametrize("cls", [Muon, SOAP])
def test_a_network_without_hidden_layers_is_refused(cls):
    with pytest.raises(FacehallError, match=r"Sequential has no convolution or linear layer between.*optimizer=adam"):
        cls(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)))


@pytest.mark.parametrize("cls", WITH_BETAS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, r"lr must be at least 0, not"),
        ({"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\), not"),
        ({"weight_decay": -0.1}, r"weight_decay must be at least 0, not -0\.1"),
    ],
)
def test_settings_out_of_range_are_refused(cls, settings, message):
    with pytest.raises(ValueError, match=message):
        cls(convolutions(), **settings)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (Muon, {"muon_lr": -0.1}),
        (Muon, {"momentum": 1.0}),
        (Muon, {"iterations": 0}),
        (SOAP, {"frequency": 0}),
        (SOAP, {"shampoo_beta": 1.5}),
    ],
)
def test_own_settings_out_of_range_are_refused(cls, settings):
    with pytest.raises(ValueError, match=rf"^{next(iter(settings))} must be"):
        cls(convolutions(), **settings)


@pytest.mark.parametrize("cls", ALL)
def test_parameters_without_a_gradient_stay(cls):
    """As the stages above a phase's active scale; they join later, with counts of their own."""
    model = convolutions()
    optimizer = cls(model)
    before = values(model)
    late = model[3].weight
    for step in range(3):
        random_gradients(model, step)
        late.grad = None
        optimizer.step()
    assert torch.equal(late, before[6])
    assert not torch.equal(model[2].weight, before[4])
    for step in range(2):
        random_gradients(model, step)
        optimizer.step()
    assert not torch.equal(late, before[6])
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("cls", [Muon, SOAP, Lion])
def test_decay_shrinks_the_weights_and_spares_biases(cls):
    """These updates do not depend on the weights, so that two runs differ by the decay of the second step alone."""
    plain, decayed = convolutions(dtype=torch.float64), convolutions(dtype=torch.float64)
    settings = {"lr": 0.01, **({"muon_lr": 0.01} if cls is Muon else {})}
    optimizers = {plain: cls(plain, **settings), decayed: cls(decayed, **settings)}
    for network, optimizer in optimizers.items():
        random_gradients(network, 0)
        optimizer.step()
    for group in optimizers[decayed].param_groups:
        group["weight_decay"] = 0.5
    start = values(decayed)
    for network, optimizer in optimizers.items():
        random_gradients(network, 1)
        optimizer.step()
    ends = zip(start, plain.parameters(), decayed.parameters(), strict=True)
    for i, (before, without, after) in enumerate(ends):
        if i % 2:  # a bias
            assert torch.equal(without, after)
        elif cls is Lion or 0 < i < 12:  # the layers at the images do not decay in Adam's part
            torch.testing.assert_close(after, without - 0.01 * 0.5 * before)
        else:
            assert torch.equal(without, after)


@pytest.mark.parametrize("cls", ALL)
def test_the_closure_is_called_with_gradients_enabled(cls):
    model = convolutions()
    optimizer = cls(model)

    def closure():
        assert torch.is_grad_enabled()
        random_gradients(model, 0)
        return 5.0

    with torch.no_grad():
        assert optimizer.step(closure) == 5.0
