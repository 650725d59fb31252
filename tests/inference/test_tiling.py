"""Tiles: the same picture as the whole, within the bounds that the docstring states."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facehall.inference import super_resolve
from facehall.models.generators import Generator
from small import tiny_generator

# first, two convolutions of the dense block, trunk's last, and at x2 the upsampler and then four convolutions at
# half the step, head included; bicubic reaches two pixels.
REACH = 8


@given(height=st.integers(1, 40), width=st.integers(1, 40), tile=st.integers(1, 48))
@settings(max_examples=25, deadline=None)
def test_with_enough_context_tiles_are_the_whole(height, width, tile):
    lr = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))
    generator = tiny_generator()
    whole = super_resolve(generator, lr, tile=1000)
    assert whole.shape == (3, 2 * height, 2 * width)
    assert torch.allclose(super_resolve(generator, lr, tile, overlap=REACH), whole, atol=1e-5)


def test_without_context_seams_show():
    lr = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    generator = tiny_generator()
    seam = super_resolve(generator, lr, tile=12, overlap=0) - super_resolve(generator, lr, tile=24)
    assert seam.abs().max() > 1 / 255


def test_untiled_is_the_network_clamped():
    lr = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(1))
    generator = tiny_generator(4)
    with torch.no_grad():
        raw = generator(lr[None])[0]
    assert raw.max() > 1  # or there would be nothing to clamp
    assert torch.equal(super_resolve(generator, lr), raw.clamp(0, 1))


@pytest.mark.parametrize(("tile", "overlap"), [(16, 4), (5, 3)])
def test_no_tile_is_larger_than_asked_for(tile, overlap):
    seen = []

    class Spy(Generator):
        scale = 2

        def forward(self, lr):
            seen.append(lr.shape[-2:])
            return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    lr = torch.rand(3, 33, 50)
    sr = super_resolve(Spy(), lr, tile, overlap)
    assert torch.equal(sr, lr.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert max(side for size in seen for side in size) == tile + 2 * overlap
