"""Metadata of a run's weights files on their origin."""

from facehall.losses import LossTerm, PyramidPixelLoss
from facehall.training import Curriculum
from facehall.training.callbacks.export import origin
from facehall.training.curriculum import Phase


class LpipsTerm(LossTerm):
    measure = "lpips"

    def forward(self, outputs, batch):
        return outputs["sr"].mean()


def test_weights_name_the_measures_used_as_losses_so_far(make_module):
    curriculum = Curriculum([Phase("psnr", 2, {"pixel": 1}), Phase("last", 2, {"pixel": 1, "perceptual": 1})])
    losses = {"pixel": PyramidPixelLoss(), "perceptual": LpipsTerm()}
    module = make_module(curriculum=curriculum, losses=losses, discriminator=None)
    module.generator_step = 2
    assert origin(module, "run") == {"run": "run", "step": "2", "phase": "psnr"}
    module.generator_step = 3
    assert origin(module, "run") == {"run": "run", "step": "3", "phase": "last", "losses": "lpips"}
