"""MATLAB's `imresize(..., 'bicubic')` on torch tensors: the resampling of the super-resolution literature.

Kernel of Keys (1981), "Cubic convolution interpolation for digital image processing", with a = -0.5, stretched by the
scale when downscaling (antialiasing), and symmetric padding (edge pixel repeated). Other implementations differ: OpenCV
(a = -0.75, no antialiasing), torch (a = -0.75, or a = -0.5 with `antialias=True`, but renormalised at the border),
Pillow (as the latter, on 8 bits).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facehall.errors import FacehallError


def crop_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Crop the last two dimensions to multiples of `multiple`, keeping the top left corner (MATLAB `modcrop`).

    Raises:
        FacehallError: if a side is shorter than `multiple`.
    """
    if multiple < 1:
        raise ValueError(f"multiple must be at least 1, not {multiple}")
    height, width = image.shape[-2:]
    if min(height, width) < multiple:
        raise FacehallError(
            f"An image of {height}x{width} pixels is too small to be cropped to a multiple of {multiple}. "
            "Remove the image or use a smaller scale."
        )
    return image[..., : height - height % multiple, : width - width % multiple]


def upscale_bicubic(images: Tensor, scale: int) -> Tensor:
    """Upscale (..., H, W) to (..., scale H, scale W); see `resize_bicubic`."""
    _check_scale(scale)
    height, width = images.shape[-2:]
    return resize_bicubic(images, (height * scale, width * scale))


def downscale_bicubic(images: Tensor, scale: int) -> Tensor:
    """Downscale (..., H, W) to (..., H / scale, W / scale); see `resize_bicubic`.

    Raises:
        FacehallError: if H and W are not multiples of `scale`; use `crop_to_multiple` first.
    """
    _check_scale(scale)
    height, width = images.shape[-2:]
    if height % scale or width % scale:
        raise FacehallError(
            f"An image of {height}x{width} pixels cannot be downscaled by {scale}: its sides must be multiples of "
            f"{scale}. Crop it first (facehall.imaging.crop_to_multiple)."
        )
    return resize_bicubic(images, (height // scale, width // scale))


def resize_bicubic(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images (..., H, W) to (..., *size), matching MATLAB's `imresize(image, size, 'bicubic')` on doubles.

    Supports any floating dtype (16-bit ones are computed in float32 and cast back), device, value range, and size of at
    least one pixel. The result is neither clamped nor rounded: the kernel has negative lobes, so images in [0, 1] can
    slightly exceed that range (see `facehall.imaging.quantize`). Differentiable. Linear cost in pixels.
    """
    if images.ndim < 2 or not images.is_floating_point():
        raise ValueError(f"images must be floating and (..., H, W), not {images.dtype} {tuple(images.shape)}")
    if min(size) < 1 or min(images.shape[-2:]) < 1:
        raise ValueError(f"cannot resize {tuple(images.shape[-2:])} to {tuple(size)}: sides must be at least 1 pixel")
    if images.dtype in (torch.float16, torch.bfloat16):
        return resize_bicubic(images.float(), size).to(images.dtype)
    margins = [_margins(old, new) for old, new in zip(images.shape[-2:], size, strict=True)]
    if None not in margins:
        return _resize_padded(images, size, [margin for margin in margins if margin])
    return _resize_taps(images, size)


def _check_scale(scale: int) -> None:
    if scale != int(scale) or scale < 1:
        raise ValueError(f"scale must be an integer of at least 1, not {scale}")


def _margins(old: int, new: int) -> tuple[int, int] | None:
    """Return the padding that the kernel needs, in input and output pixels; None if the ratio is not an integer."""
    if new % old == 0:
        margin = (2, 2 * (new // old))
    elif old % new == 0:
        margin = (2 * (old // new), 2)
    else:
        return None
    # A shorter image would need repeated mirroring.
    return margin if old >= margin[0] else None


def _resize_padded(images: Tensor, size: tuple[int, int], margins: list[tuple[int, int]]) -> Tensor:
    """Resize by integer ratios with torch's kernel, which differs from MATLAB's only at the border: pad by mirroring
    before, and crop the padding afterwards.
    """
    (top, new_top), (left, new_left) = margins
    padded = _mirror(_mirror(images, -2, top), -1, left)
    new = (size[0] + 2 * new_top, size[1] + 2 * new_left)
    batch = padded if padded.ndim == 4 else padded.reshape(-1, 1, *padded.shape[-2:])
    resized = F.interpolate(batch, size=new, mode="bicubic", antialias=True, align_corners=False)
    resized = resized[..., new_top : new_top + size[0], new_left : new_left + size[1]]
    return resized.reshape(*images.shape[:-2], *size).contiguous()


def _mirror(images: Tensor, dim: int, width: int) -> Tensor:
    """Pad both sides with `width` mirrored pixels; unlike torch's `reflect` padding, the edge pixel is repeated."""
    # Indexing, because slices from the end add guards on the sizes that torch.export refuses.
    step = torch.arange(width, device=images.device)
    before = images.index_select(dim, width - 1 - step)
    after = images.index_select(dim, images.shape[dim] - 1 - step)
    return torch.cat((before, images, after), dim)


def _resize_taps(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize by any ratio as a weighted sum of shifted copies, one dimension at a time, the smaller ratio first."""
    ratios = [(new / old, dim, new) for dim, old, new in zip((-2, -1), images.shape[-2:], size, strict=True)]
    for _, dim, new in sorted(ratios):
        index, weight = _taps(images.shape[dim], new)
        column = (new, 1) if dim == -2 else (new,)
        copies = (
            images.index_select(dim, torch.from_numpy(i).to(images.device))
            * torch.from_numpy(w).to(images).view(column)
            for i, w in zip(index, weight, strict=True)
        )
        total = next(copies)
        for copy in copies:
            total = total + copy
        images = total
    return images


# Arrays, not tensors, are cached: a tensor created in inference mode or while tracing would break later calls.
@lru_cache(maxsize=128)
def _taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the input pixels that contribute to each output pixel, and their weights: (taps, new) int64 and float64.

    The `contributions` function of MATLAB's imresize.m, zero-based.
    """
    stretch = max(1.0, old / new)
    centre = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(centre - 2 * stretch).astype(np.int64)
    index = first + np.arange(int(np.ceil(4 * stretch)) + 2)[:, None]
    weight = _keys_kernel((centre - index) / stretch)
    weight /= weight.sum(axis=0)
    used = weight.any(axis=1)
    phase = np.mod(index[used], 2 * old)
    return np.where(phase < old, phase, 2 * old - 1 - phase), weight[used]


def _keys_kernel(x: np.ndarray) -> np.ndarray:
    """Evaluate the cubic convolution kernel, a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
