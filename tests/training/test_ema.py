"""The averaged generator."""

import pytest
import torch

from facehall.models.generators import RRDBNet, SRResNet3
from facehall.training.ema import GeneratorEMA


def generator():
    return RRDBNet(blocks=1, features=4, growth=2)


def test_starts_from_the_live_weights_and_is_a_copy():
    live = generator()
    ema = GeneratorEMA(live, decay=0.9)
    assert all(torch.equal(a, b) for a, b in zip(ema.generator.parameters(), live.parameters(), strict=True))
    with torch.no_grad():
        live.conv_first.weight.add_(1)
    assert not torch.equal(ema.generator.conv_first.weight, live.conv_first.weight)


def test_average_by_hand_with_its_warm_up():
    live = generator()
    ema = GeneratorEMA(live, decay=0.5)
    expected = live.conv_first.bias.detach().clone()
    for n in range(12):
        with torch.no_grad():
            live.conv_first.bias.add_(1)
        ema.update(live)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * live.conv_first.bias.detach()
    torch.testing.assert_close(ema.generator.conv_first.bias, expected)


def test_batch_norm_statistics_are_copied():
    live = SRResNet3(scale=2, blocks=1, features=4).train()
    ema = GeneratorEMA(live, decay=0.9)
    live(torch.rand(2, 3, 8, 8))
    ema.update(live)
    assert all(torch.equal(a, b) for a, b in zip(ema.generator.buffers(), live.buffers(), strict=True))


def test_stays_in_eval_mode_without_gradients():
    ema = GeneratorEMA(generator(), decay=0.9).train()
    assert not any(module.training for module in ema.modules())
    assert not any(p.requires_grad for p in ema.parameters())


def test_resumes_its_warm_up():
    live = generator()
    ema, other = GeneratorEMA(live, decay=0.99), GeneratorEMA(generator(), decay=0.99)
    for _ in range(3):
        ema.update(live)
    other.load_state_dict(ema.state_dict())
    with torch.no_grad():
        live.conv_last.weight.add_(1)
    ema.update(live)
    other.update(live)
    assert all(torch.equal(a, b) for a, b in zip(ema.parameters(), other.parameters(), strict=True))


def test_decay_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="ema_decay"):
        GeneratorEMA(generator(), decay=1.0)
