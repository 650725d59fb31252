"""Public ESRGAN and Real-ESRGAN checkpoints, against a functional RRDBNet on their original keys."""

import pytest
import torch
from small import TINY_NETWORK, Malicious
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.inference import Predictor
from facehall.models.generators import MultiScaleRRDB, RRDBNet
from facehall.models.weights import load_into

BLOCKS, FEATURES, GROWTH = 2, 8, 4

# Names in each layout of the first convolution, a dense one (of block, dense block and number), the trunk's last, the
# two after upsampling and the last two.
NUMBERED = (
    "model.0",
    "model.1.sub.{}.RDB{}.conv{}.0",
    f"model.1.sub.{BLOCKS}",
    "model.3",
    "model.6",
    "model.8",
    "model.10",
)
SCRIPT = ("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", "upconv1", "upconv2", "HRconv", "conv_last")
PRESENT = ("conv_first", "body.{}.rdb{}.conv{}", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def checkpoint(layout):
    """Return random weights in the order of the network's layers."""
    random = torch.Generator().manual_seed(0)
    first, dense, trunk, *rest = layout
    shapes = {first: (FEATURES, 3)}
    for block in range(BLOCKS):
        for part in (1, 2, 3):
            for number in range(1, 6):
                out = FEATURES if number == 5 else GROWTH
                shapes[dense.format(block, part, number)] = (out, FEATURES + (number - 1) * GROWTH)
    shapes |= dict.fromkeys((trunk, *rest[:3]), (FEATURES, FEATURES)) | {rest[3]: (3, FEATURES)}
    state = {}
    for name, (out, inputs) in shapes.items():
        state[f"{name}.weight"] = torch.randn(out, inputs, 3, 3, generator=random) / 8
        state[f"{name}.bias"] = torch.randn(out, generator=random) / 8
    return state


def reference(state, layout, x):
    first, dense, trunk, up1, up2, hr, last = layout

    def conv(name, x):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    features = body = conv(first, x)
    for block in range(BLOCKS):
        inner = body
        for part in (1, 2, 3):
            grown = [inner]
            for number in range(1, 5):
                grown.append(F.leaky_relu(conv(dense.format(block, part, number), torch.cat(grown, 1)), 0.2))
            inner = inner + 0.2 * conv(dense.format(block, part, 5), torch.cat(grown, 1))
        body = body + 0.2 * inner
    x = features + conv(trunk, body)
    for name in (up1, up2):
        x = F.leaky_relu(conv(name, F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
    return conv(last, F.leaky_relu(conv(hr, x), 0.2))


@pytest.mark.parametrize("layout", [NUMBERED, SCRIPT, PRESENT], ids=["numbered", "script", "present"])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"params_ema": state}], ids=["bare", "params_ema"])
def test_a_public_checkpoint_gives_the_original_output(tmp_path, layout, wrap):
    state = checkpoint(layout)
    torch.save(wrap(state), tmp_path / "x4.pth")
    predictor = Predictor(tmp_path / "x4.pth", "cpu", backend="eager")
    assert predictor.scale == 4
    lr = torch.rand(3, 12, 9)
    expected = reference(state, layout, lr[None])[0]
    assert expected.std() > 0.01
    with torch.no_grad():
        torch.testing.assert_close(predictor.generator(lr[None])[0], expected)
    torch.testing.assert_close(predictor.super_resolve(lr), expected.clamp(0, 1))


def test_a_malicious_checkpoint_is_rejected_without_executing_it(tmp_path):
    state = {**checkpoint(PRESENT), "more": Malicious(tmp_path / "executed")}
    torch.save(state, tmp_path / "x4.pth")
    with pytest.raises(FacehallError, match=r"x4.pth: not a checkpoint of an x4 RRDBNet"):
        Predictor(tmp_path / "x4.pth", "cpu", backend="eager")
    assert not (tmp_path / "executed").exists()


def test_a_training_starts_from_a_public_checkpoint(tmp_path):
    torch.save(checkpoint(NUMBERED), tmp_path / "x4.pth")
    generator = RRDBNet(BLOCKS, FEATURES, GROWTH)
    load_into(generator, tmp_path / "x4.pth")
    lr = torch.rand(1, 3, 12, 9)
    with torch.no_grad():
        torch.testing.assert_close(generator(lr), reference(checkpoint(NUMBERED), NUMBERED, lr))
    with pytest.raises(FacehallError, match=r"x4\.pth: these are weights of another network: .*generator=rrdbnet"):
        load_into(MultiScaleRRDB(scale=4, **TINY_NETWORK), tmp_path / "x4.pth")
