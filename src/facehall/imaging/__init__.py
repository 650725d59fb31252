"""What is known about pictures: resampling, quantisation, colour, files, contact sheets. Nothing of learning."""

from facehall.imaging.arrays import crop_to_multiple, quantize, to_tensor, to_uint8
from facehall.imaging.bicubic import downscale_bicubic, resize_bicubic, upscale_bicubic
from facehall.imaging.color import rgb_to_y
from facehall.imaging.files import (
    IMAGE_SUFFIXES,
    Picture,
    list_images,
    peculiarities,
    read_picture,
    read_rgb,
    write_picture,
)
from facehall.imaging.sheets import comparison_sheet

__all__ = [
    "IMAGE_SUFFIXES",
    "Picture",
    "comparison_sheet",
    "crop_to_multiple",
    "downscale_bicubic",
    "list_images",
    "peculiarities",
    "quantize",
    "read_picture",
    "read_rgb",
    "resize_bicubic",
    "rgb_to_y",
    "to_tensor",
    "to_uint8",
    "upscale_bicubic",
    "write_picture",
]
