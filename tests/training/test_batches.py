"""Batch preparation for networks and losses."""

import numpy as np
import torch

from facehall.data.annotations import Annotations
from facehall.data.annotations.schemes import LandmarkScheme, ParsingScheme
from facehall.imaging import downscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.models.generators import Generator
from facehall.training.batches import downscale_batch, loss_outputs, network_input, to_generator_colour


class Luma(Generator):
    scale, input, colour = 2, "bicubic", "y"

    def pyramid(self, lr, up_to=None):
        return {2: lr}


def test_hr_and_its_annotations_are_downscaled_alike():
    """A batch at half the scale matches the annotations of the downscaled picture."""
    rng = np.random.default_rng(0)
    whole = Annotations(
        (16, 16),
        rng.uniform(0, 15, (2, 2)).astype(np.float32),
        rng.integers(0, 2, (16, 16), np.uint8),
        landmark_scheme=LandmarkScheme("two", ("left_eye", "right_eye")),
        parsing_scheme=ParsingScheme("two", ("background", "skin")),
    )
    batch = {"hr": torch.rand(1, 3, 16, 16), "name": ["a"]}
    batch |= {name: value[None] for name, value in whole.tensors().items()}
    half = downscale_batch(batch, 2)
    expected = whole.resize((8, 8)).tensors()
    torch.testing.assert_close(half["landmarks"][0], expected["landmarks"])
    assert torch.equal(half["parsing"][0], expected["parsing"])
    torch.testing.assert_close(half["hr"], downscale_bicubic(batch["hr"], 2))
    assert downscale_batch(batch, 1) is batch


def test_a_luma_network_trains_on_enlarged_luma():
    batch = {"lr": torch.rand(1, 3, 4, 4), "hr": torch.rand(1, 3, 8, 8)}
    luma = to_generator_colour(batch, Luma())
    assert torch.equal(luma["lr"], rgb_to_y(batch["lr"]))
    assert torch.equal(luma["hr"][:, 2:], rgb_to_y(batch["hr"]))
    inputs = network_input(luma["lr"], Luma())
    assert inputs.shape == (1, 1, 8, 8)
    outputs = loss_outputs(Luma().outputs(inputs), 2)
    assert outputs["sr"].shape == luma["hr"].shape == (1, 3, 8, 8)
