"""Pro-UIGAN: outputs, what hidden pixels change, attention by hand, fading in, files."""

import pytest
import torch
from zoo_checks import assert_round_trip

from facehall.imaging.occlusion import OCCLUDED
from facehall.metrics import count_parameters
from facehall.models.generators import PFSR, ProUIGAN
from facehall.models.generators.pro_uigan import LandmarkAttention


def hide(lr, rows, columns):
    lr = lr.clone()
    lr[..., rows, columns] = torch.tensor(OCCLUDED)[:, None, None]
    return lr


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ProUIGAN(8, channels=16, landmarks=5, attention=8, heads=2)


def test_size():
    """PFSR's trunk; a fourth input channel, heatmaps, attention, the inpainted image and guides besides."""
    with torch.device("meta"):
        network, trunk = ProUIGAN(8, 128, landmarks=5), PFSR(8, 128)
        heads = sum(5 * (9 * width + 1) for width in (128, 64, 32))
        attention = (128 * 64 + 64) * 2 + 5 * 64 + (64 * 128 + 128) * 2
        others = 9 * 128 + 3 * 129 + 6 * (64 + 32)
        assert count_parameters(network) == count_parameters(trunk) + heads + attention + others == 610_651


def test_outputs(network):
    lr = torch.rand(2, 3, 6, 5)
    outputs = network.outputs(lr)
    assert set(outputs) == set(network.provides)
    assert outputs["inpainted"].shape == lr.shape
    shapes = {scale: tuple(image.shape) for scale, image in outputs["pyramid"].items()}
    assert shapes == {scale: (2, 3, 6 * scale, 5 * scale) for scale in (2, 4, 8)}
    shapes = {scale: tuple(image.shape) for scale, image in outputs["heatmaps"].items()}
    assert shapes == {scale: (2, 5, 6 * scale, 5 * scale) for scale in (1, 2, 4)}
    part = network.outputs(lr, 2)
    assert (list(part["pyramid"]), list(part["heatmaps"])) == ([2], [1])


def test_hidden_pixels_are_neither_black_nor_magenta_but_marked(network):
    seen = []
    network.first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    lr = torch.rand(1, 3, 6, 6)
    network.eval()(hide(lr, slice(2, 4), slice(1, 6)))
    (x,) = seen
    visible = torch.ones(6, 6)
    visible[2:4, 1:6] = 0
    assert torch.equal(x[0, 3], visible)
    assert torch.equal(x[0, :3], (2 * lr[0] - 1) * visible)


def test_a_hidden_pixel_sees_the_whole_face_through_the_landmarks(network):
    network.eval()
    lr = hide(torch.rand(1, 3, 32, 32), slice(0, 4), slice(0, 4)).requires_grad_()

    def reaches():
        (gradient,) = torch.autograd.grad(network.outputs(lr, 2)["inpainted"][..., 0, 0].sum(), lr)
        return bool(gradient[..., 16:, 16:].any())

    assert not reaches()  # the attention starts as the identity
    torch.nn.init.normal_(network.attention.out.weight)
    assert reaches()


def test_attention_by_hand():
    torch.manual_seed(0)
    layer = LandmarkAttention(3, landmarks=2, width=4, heads=2)
    torch.nn.init.normal_(layer.out.weight)
    x, heatmaps = torch.randn(1, 3, 2, 3), torch.zeros(1, 2, 2, 3)
    heatmaps[0, 0, 1, 2] = 1e4  # so that only one pixel counts
    heatmaps[0, 1] = -1.0  # no landmark anywhere: the mean
    features = torch.stack([x[0, :, 1, 2], x[0].mean(dim=(1, 2))])
    tokens = layer.token(features) + layer.embedding
    key, value = layer.key_value(tokens).chunk(2, dim=-1)
    query = layer.query(x)[0].flatten(1).T
    found = []
    for head in (slice(0, 2), slice(2, 4)):
        weights = torch.softmax(query[:, head] @ key[:, head].T / 2**0.5, dim=-1)
        found.append(weights @ value[:, head])
    expected = x + layer.out(torch.cat(found, dim=1).T.reshape(1, 4, 2, 3))
    torch.testing.assert_close(layer(x, heatmaps), expected, atol=1e-4, rtol=1e-4)


def test_a_new_scale_fades_in_as_in_pfsr(network):
    lr = torch.rand(2, 3, 5, 6)
    full = network.pyramid(lr, 4)
    network.set_fade(0)
    start = network.pyramid(lr, 4)
    torch.testing.assert_close(start[4], full[2].repeat_interleave(2, -1).repeat_interleave(2, -2))
    network.eval()
    assert not torch.equal(network.pyramid(lr, 4)[4], start[4])


def test_arguments(tmp_path):
    network = ProUIGAN(4, channels=8, landmarks=5, attention=8, heads=2)
    assert_round_trip(network, hide(torch.rand(1, 3, 6, 6), slice(2), slice(3)), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, 8, not 3"):
        ProUIGAN(3)
    with pytest.raises(ValueError, match="attention must be a multiple of heads, not 9 and 4"):
        ProUIGAN(4, 8, attention=9)
