"""Which pixels a picture marks as hidden."""

import torch

from facehall.imaging.occlusion import OCCLUDED, occlusion


def test_only_the_exact_key_colour_is_hidden():
    images = torch.rand(2, 3, 4, 5)
    images[1, :, 1:3, 2] = torch.tensor(OCCLUDED)[:, None]
    images[0, :, 0, 0] = torch.tensor([1.0, 1 / 255, 1.0])
    hidden = occlusion(images)
    assert hidden.shape == (2, 1, 4, 5)
    assert hidden.nonzero()[:, [0, 2, 3]].tolist() == [[1, 1, 2], [1, 2, 2]]
    assert occlusion(images.bfloat16()).dtype == torch.bfloat16
