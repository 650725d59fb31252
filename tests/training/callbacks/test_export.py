"""What the weights files of a run say of where they come from."""

from facehall.losses import LossTerm, PyramidPixelLoss
from facehall.training import Curriculum
from facehall.training.callbacks.export import origin
from facehall.training.curriculum import Phase


class Judged(LossTerm):
    measure = "lpips"

    def forward(self, outputs, batch):
        return outputs["sr"].mean()


def test_weights_name_the_measures_that_were_losses_on_the_way(make_module):
    curriculum = Curriculum([Phase("psnr", 2, {"pixel": 1}), Phase("last", 2, {"pixel": 1, "judged": 1})])
    losses = {"pixel": PyramidPixelLoss(), "judged": Judged()}
    module = make_module(curriculum=curriculum, losses=losses, discriminator=None)
    module.generator_step = 2
    assert origin(module, "run") == {"run": "run", "step": "2", "phase": "psnr"}
    module.generator_step = 3
    assert origin(module, "run") == {"run": "run", "step": "3", "phase": "last", "losses": "lpips"}
