"""CSCN: sparse coding as a feed-forward network, cascaded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import resize_bicubic
from facehall.models.generators.base import Generator, records_arguments

INPUT, OUTPUT = 9, 5
"""Side of the patches that are coded, and of the patches predicted at their centre, in pixels."""
FEATURES, ATOMS = 100, 128
CONTRAST = 1.1
"""Ratio of the contrast of a predicted patch to that of the enlarged one."""
TINY = 1e-12


class SparseCodingStage(nn.Module):
    """SCN, one x2 step (Wang et al., Deep Networks for Image Super-Resolution with Sparse Prior, ICCV 2015).

    1. Enlarge by bicubic with a = -0.75, mirrored at the border. The protocol's has a = -0.5; with it the authors'
       weights lose 0.3 dB.
    2. Extract 100 features of each 9x9 patch, and divide them by their norm.
    3. Code them by one recurrence of LISTA (Gregor & LeCun 2010), with 128 atoms: z0 = shrink(W y),
       z = shrink(W y + S z0). The thresholds are folded into W and S: shrink is the soft threshold at 1.
    4. Predict the 5x5 patch at the centre, less its mean: D z, scaled to the norm of the enlarged patch less its
       mean, times 1.1, times one learned weight per pixel.
    5. Overlap: sum the 25 predictions for each pixel, and add the mean of the local means.

    Nothing depends on the range of values. There are no biases.

    Shapes: (B, 1, h, w) -> (B, 1, 2h, 2w).
    """

    def __init__(self) -> None:
        super().__init__()
        self.extract = nn.Conv2d(1, FEATURES, kernel_size=INPUT, bias=False)
        self.code = nn.Conv2d(FEATURES, ATOMS, kernel_size=1, bias=False)
        self.recur = nn.Conv2d(ATOMS, ATOMS, kernel_size=1, bias=False)
        self.decode = nn.Conv2d(ATOMS, OUTPUT**2, kernel_size=1, bias=False)
        self.pixel_weights = nn.Parameter(torch.empty(OUTPUT**2))
        pixels = torch.eye(OUTPUT**2).view(OUTPUT**2, 1, OUTPUT, OUTPUT)
        self.register_buffer("centre", pixels - 1 / OUTPUT**2, persistent=False)
        # A pixel's first prediction is the last pixel of the patch before it.
        self.register_buffer("overlap", pixels.flip(0).transpose(0, 1).contiguous(), persistent=False)
        self.register_buffer("box", torch.full((1, 1, OUTPUT, OUTPUT), 1 / OUTPUT**2), persistent=False)
        self._initialise()

    centre: Tensor
    overlap: Tensor
    box: Tensor

    def forward(self, x: Tensor) -> Tensor:
        height, width = 2 * x.shape[-2], 2 * x.shape[-1]
        x = F.interpolate(_mirrored(x, 2), size=(height + 8, width + 8), mode="bicubic", align_corners=False)
        x = x[..., 4 : 4 + height, 4 : 4 + width]
        margin = INPUT // 2 + OUTPUT // 2  # a pixel is in 25 predicted patches, whose inputs reach 6 pixels far
        x = _mirrored(x, margin)
        y = self.extract(x)
        y = self.code(y / (_norm(y) + TINY))
        patches = self.decode(_shrink(y + self.recur(_shrink(y))))
        rim = (INPUT - OUTPUT) // 2
        x = x[..., rim : height + 2 * margin - rim, rim : width + 2 * margin - rim]
        contrast = _norm(F.conv2d(x, self.centre.to(x)))
        patches = patches / (_norm(patches) + TINY) * (CONTRAST * contrast) * self.pixel_weights[:, None, None]
        box = self.box.to(x)
        return F.conv2d(F.conv2d(x, box), box) + F.conv2d(patches, self.overlap.to(patches))

    @torch.no_grad()
    def _initialise(self) -> None:
        """Start as a sparse autoencoder of the enlarged image, in place of the paper's dictionaries learned beforehand.

        Features are an orthonormal map of the 80 dimensions of a patch less its mean, and the atoms a tight frame of
        them: without thresholds the output would be the enlarged image.
        """
        size = INPUT**2
        no_mean = torch.linalg.qr(torch.cat([torch.ones(size, 1), torch.randn(size, size - 1)], dim=1)).Q[:, 1:]
        features = torch.linalg.qr(torch.randn(FEATURES, size - 1)).Q
        atoms = torch.linalg.qr(torch.randn(ATOMS, size - 1)).Q @ features.T
        self.extract.weight.copy_((features @ no_mean.T).view_as(self.extract.weight))
        # Of norm 20, a code's entries have a root mean square of 1.8: the threshold of 1 sets two fifths to 0.
        self.code.weight.copy_(20 * atoms[..., None, None])
        self.recur.weight.copy_((torch.eye(ATOMS) - atoms @ atoms.T)[..., None, None])
        rim = (INPUT - OUTPUT) // 2
        window = (no_mean @ features.T @ atoms.T).view(INPUT, INPUT, ATOMS)[rim:-rim, rim:-rim].reshape(-1, ATOMS)
        self.decode.weight.copy_((window - window.mean(0))[..., None, None])
        self.pixel_weights.fill_(1 / (CONTRAST * OUTPUT**2))


class CSCN(Generator):
    """CSCN (Wang et al. 2015, sec. 3.3): a cascade of x2 stages, each with its own weights, on luma.

    At x3, two stages enlarge by 4, and bicubic reduces to 3.

    Args:
        scale: 2 (SCN, a single stage), 3, 4 or 8.

    Raises:
        ValueError: another scale.
    """

    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        stages = {2: 1, 3: 2, 4: 2, 8: 3}
        if scale not in stages:
            raise ValueError(f"scale must be one of {', '.join(map(str, stages))}, not {scale}")
        self.scale = scale
        self.stages = nn.ModuleList(SparseCodingStage() for _ in range(stages[scale]))

    @property
    def scales(self) -> tuple[int, ...]:
        return (3,) if self.scale == 3 else tuple(2 ** (i + 1) for i in range(len(self.stages)))

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """(B, 1, h, w) luma in [0, 1] -> {scale: (B, 1, scale h, scale w)}."""
        image, images = lr, {}
        for i, stage in enumerate(self.stages):
            images[2 ** (i + 1)] = image = stage(image)
            if 2 ** (i + 1) == up_to:
                break
        if self.scale == 3:
            return {3: resize_bicubic(image, (3 * lr.shape[-2], 3 * lr.shape[-1]))}
        return images


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """Pad all sides by mirroring, repeating the edge pixel, also images smaller than the margin."""
    for dim in (-2, -1):
        size = x.shape[dim]
        index = torch.arange(-margin, size + margin, device=x.device) % (2 * size)
        x = x.index_select(dim, torch.minimum(index, 2 * size - 1 - index))
    return x


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=1, keepdim=True)


def _shrink(x: Tensor) -> Tensor:
    return F.softshrink(x, 1.0)
