"""PPON: content, structure and photo-realism, each predicted by a part of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RESIDUAL_SCALE, conv3, enlargement_x4, init_scaled_he_, leaky_relu

DILATIONS = range(1, 9)


class RRFB(nn.Module):
    """Residual receptive field block: dilated convolutions of rates 1 to 8, summed cumulatively; a scaled residual.

    A convolution; eight dilated convolutions of it, of `branch` channels; the k-th map is the sum of the first k; a 1x1
    convolution of all maps. Shapes: (B, C, h, w) -> (B, C, h, w).
    """

    def __init__(self, features: int, branch: int) -> None:
        super().__init__()
        self.first = conv3(features, features)
        self.dilated = nn.ModuleList(
            nn.Conv2d(features, branch, kernel_size=3, padding=rate, dilation=rate) for rate in DILATIONS
        )
        self.fuse = nn.Conv2d(len(DILATIONS) * branch, features, kernel_size=1)
        self.activation = leaky_relu()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.first(x))
        sums = [self.dilated[0](inner)]
        for conv in list(self.dilated)[1:]:
            sums.append(sums[-1] + conv(inner))
        return torch.add(x, self.fuse(self.activation(torch.cat(sums, dim=1))), alpha=RESIDUAL_SCALE)


class TripleRRFB(nn.Module):
    """x + 0.2 times the result of three RRFBs in a row. (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, features: int, branch: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(RRFB(features, branch) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.blocks(x), alpha=RESIDUAL_SCALE)


class ContentFeatures(nn.Module):
    """A convolution, and blocks and a convolution with a skip around them: (B, 3, h, w) -> (B, C, h, w)."""

    def __init__(self, blocks: int, features: int, branch: int) -> None:
        super().__init__()
        self.first = conv3(3, features)
        self.body = nn.Sequential(*(TripleRRFB(features, branch) for _ in range(blocks)), conv3(features, features))

    def forward(self, lr: Tensor) -> Tensor:
        x = self.first(lr)
        return x + self.body(x)


class PPON(Generator):
    """PPON x4 (Hui et al., Progressive Perception-Oriented Network for Single Image Super-Resolution, 2019).

    Three parts, each with its features and its reconstruction. ``content`` predicts an image from LR; ``structure``
    and ``realism`` each add a residual image, from the features of the part before. They are trained one after the
    other, the earlier ones fixed (`set_part`).

    Initial weights are scaled as in the authors' code, but the last convolutions of structure and realism are zero: a
    part that has not been trained yet does not change the image, so that every phase's network can be validated.

    Args:
        blocks: content's triples of RRFBs; 24 in the paper.
        structure_blocks, realism_blocks: those of the later parts; 2 in the paper.
        features: channels; 64 in the paper.
        branch: channels of a dilated convolution; 32 in the paper.
    """

    scale = 4
    parts = ("content", "structure", "realism")

    @records_arguments
    def __init__(
        self,
        blocks: int = 24,
        structure_blocks: int = 2,
        realism_blocks: int = 2,
        features: int = 64,
        branch: int = 32,
    ) -> None:
        super().__init__()
        self.part: str | None = None
        self.features = nn.ModuleDict({"content": ContentFeatures(blocks, features, branch)})
        for part, count in (("structure", structure_blocks), ("realism", realism_blocks)):
            self.features[part] = nn.Sequential(*(TripleRRFB(features, branch) for _ in range(count)))
        images = {part: enlargement_x4(features, 3) for part in self.parts}
        self.images = nn.ModuleDict(images)
        init_scaled_he_(self)
        for part in self.parts[1:]:
            last = images[part][-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.zeros_(last.weight)

    def set_part(self, part: str | None) -> None:
        self.part = part

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {4: self._image(lr, None)}

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, dict[int, Tensor]]:
        return {"pyramid": {4: self._image(lr, self.part)}}

    def _image(self, lr: Tensor, part: str | None) -> Tensor:
        """Return the image up to a part, with gradients to it alone; None: of the whole network."""
        used = self.parts if part is None else self.parts[: self.parts.index(part) + 1]
        with torch.set_grad_enabled(torch.is_grad_enabled() and part in (None, "content")):
            x = self.features["content"](lr)
            image: Tensor = self.images["content"](x)
        for name in used[1:]:
            with torch.set_grad_enabled(torch.is_grad_enabled() and part in (None, name)):
                x = self.features[name](x)
                image = image + self.images[name](x)
        return image
