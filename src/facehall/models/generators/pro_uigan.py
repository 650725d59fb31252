"""Pro-UIGAN, reduced: super-resolution of an occluded face, guided by landmarks that the network predicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging.occlusion import occlusion
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.pfsr import faded, stages
from facehall.models.layers.blocks import conv3
from facehall.models.layers.scales import pyramid_scales


class LandmarkAttention(nn.Module):
    """Cross-attention from image features to landmarks, one token each, added to the image features.

    A landmark's token is the mean of the image features under its heatmap, projected, plus an embedding of its own: so
    a hidden pixel can look up the visible parts of the face. Costs are linear in the number of pixels.

    Args:
        channels: C, of the image features.
        landmarks: N.
        width: channels of queries, keys and values, a multiple of `heads`.

    Shapes: (B, C, h, w) and heatmaps (B, N, h, w) -> (B, C, h, w).
    """

    def __init__(self, channels: int, landmarks: int, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"attention must be a multiple of heads, not {width} and {heads}")
        self.heads = heads
        self.query = nn.Conv2d(channels, width, kernel_size=1)
        self.token = nn.Linear(channels, width)
        self.embedding = nn.Parameter(torch.randn(landmarks, width) * 0.02)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Conv2d(width, channels, kernel_size=1)
        nn.init.zeros_(self.out.weight)  # starts as the identity
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, heatmaps: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        channels = self.query.out_channels
        weights = F.relu(heatmaps).flatten(2) + 1e-4  # a flat heatmap gives the mean of all features
        weights = weights / weights.sum(dim=-1, keepdim=True)
        tokens = self.token(weights @ x.flatten(2).transpose(1, 2)) + self.embedding  # (B, N, width)
        key, value = (self._split(part) for part in self.key_value(tokens).chunk(2, dim=-1))
        query = self._split(self.query(x).flatten(2).transpose(1, 2))
        found = F.scaled_dot_product_attention(query, key, value)  # (B, heads, h w, width / heads)
        return x + self.out(found.transpose(2, 3).reshape(batch, channels, height, width))

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, heads, L, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ProUIGAN(Generator):
    """Pro-UIGAN, reduced (Zhang, Yu, Lu, Liu, Progressive Face Hallucination from Occluded Thumbnails, TIP 2022).

    Only the abstract was at hand, so this is a reading of its ideas on PFSR's trunk: stages that each estimate
    landmarks, then upsample and inpaint, coarse to fine; attention from image to landmark features; two kinds of
    discriminators (`FacePartsDiscriminator`). Hidden LR pixels have the key colour of `facehall.imaging.occlusion`; the
    network sees them as mid-grey, and a fourth channel that says which pixels are visible. At LR size, a first
    inpainted image is predicted; each stage has an RGB head for the complete face.

    Args:
        scale: 2, 4 or 8, the paper's.
        channels: of the trunk at LR size.
        landmarks: N, predicted heatmaps: 68, or the 5 of eyes, nose and mouth corners.
        attention: channels of queries, keys and values.
        heads: of the attention.

    Raises:
        ValueError: another scale, or channels that do not fit.
    """

    fades_in = True
    provides = ("pyramid", "inpainted", "heatmaps")

    @records_arguments
    def __init__(
        self, scale: int = 8, channels: int = 512, landmarks: int = 68, attention: int = 64, heads: int = 4
    ) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Sequential(conv3(4, channels), nn.BatchNorm2d(channels), nn.ReLU())
        self.stages = stages(scale, channels)
        widths = [channels // 2**i for i in range(len(self.stages))]
        self.landmarks = nn.ModuleList(conv3(width, landmarks) for width in widths)
        self.attention = LandmarkAttention(channels, landmarks, attention, heads)
        self.inpaint = nn.Conv2d(channels, 3, kernel_size=1)
        self.guides = nn.ModuleList(nn.Conv2d(landmarks, width, kernel_size=1) for width in widths[1:])
        self.register_buffer("fade", torch.ones(()), persistent=False)

    fade: Tensor

    @property
    def scales(self) -> tuple[int, ...]:
        return pyramid_scales(self.scale)

    def set_fade(self, share: float) -> None:
        self.fade.fill_(share)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        pyramid: dict[int, Tensor] = self.outputs(lr, up_to)["pyramid"]
        return pyramid

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        """Return the pyramid, and further predictions.

        Returns:
            ``pyramid``; ``inpainted``, the LR image without occlusions (B, 3, h, w); ``heatmaps``, of each stage's
            landmarks at the stage's input size: {scale of that size, from 1: (B, N, scale h, scale w)}, about 1 at a
            landmark.
        """
        count = self.scales.index(up_to or self.scale) + 1
        hidden = occlusion(lr)
        visible = 1 - hidden
        x = self.first(torch.cat([(2 * lr - 1) * visible, visible], dim=1))
        heatmaps: dict[int, Tensor] = {}
        images: list[Tensor] = []
        inpainted = lr
        for i, (scale, stage) in enumerate(zip((1, *self.scales), list(self.stages)[:count], strict=False)):
            heatmaps[scale] = self.landmarks[i](x)
            if i == 0:
                x = self.attention(x, heatmaps[1])
                inpainted = (self.inpaint(x) + 1) / 2
            else:
                x = x + self.guides[i - 1](heatmaps[scale])
            x, image = stage(x)
            images.append((image + 1) / 2)
        if self.training:
            images = faded(images, self.fade)
        return {
            "pyramid": dict(zip(self.scales, images, strict=False)),
            "inpainted": inpainted,
            "heatmaps": heatmaps,
        }
