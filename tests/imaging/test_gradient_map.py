"""The gradient map by hand, and its own gradient in flat areas."""

import torch

from facehall.imaging import gradient_map


def test_by_hand():
    image = torch.zeros(1, 2, 4, 5)
    image[0, 1, 1, 2] = 3.0
    image[0, 1, 2, 3] = 4.0
    found = gradient_map(image)
    assert found.shape == image.shape
    torch.testing.assert_close(found[0, 0], torch.full((4, 5), 1e-3))
    expected = torch.tensor([[0, 0, 3, 0, 0], [0, 3, 0, 5, 0], [0, 0, 5, 0, 4], [0, 0, 0, 4, 0]], dtype=torch.float32)
    torch.testing.assert_close(found[0, 1], (expected.square() + 1e-6).sqrt())


def test_zeros_lie_beyond_the_border():
    found = gradient_map(torch.ones(1, 1, 4, 4))[0, 0]
    torch.testing.assert_close(found[1:-1, 1:-1], torch.full((2, 2), 1e-3))
    torch.testing.assert_close(found[0, 1:-1], torch.full((2,), 1.0))
    torch.testing.assert_close(found[0, 0], torch.tensor(2.0).sqrt())


def test_flat_areas_have_a_finite_gradient():
    image = torch.full((1, 1, 5, 5), 0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gradient_map, image)
