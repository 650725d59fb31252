"""Image processing: resampling, quantisation, colour, files, contact sheets."""

from facehall.imaging.bicubic import crop_to_multiple, downscale_bicubic, resize_bicubic, upscale_bicubic
from facehall.imaging.colour import rgb_to_y
from facehall.imaging.exif import sized_exif
from facehall.imaging.files import (
    Picture,
    conversions,
    decode_picture,
    decode_size,
    from_pillow,
    read_picture,
    read_rgb,
    read_size,
    rgb_conversions,
)
from facehall.imaging.gradient import gradient_map
from facehall.imaging.inputs import as_picture
from facehall.imaging.levels import eight_bits, quantize, to_levels, to_tensor, to_uint8
from facehall.imaging.listing import IMAGE_SUFFIXES, list_images
from facehall.imaging.sheets import comparison_sheet
from facehall.imaging.writing import WRITABLE, check_quality, encode_picture, write_picture

__all__ = [
    "IMAGE_SUFFIXES",
    "WRITABLE",
    "Picture",
    "as_picture",
    "check_quality",
    "comparison_sheet",
    "conversions",
    "crop_to_multiple",
    "decode_picture",
    "decode_size",
    "downscale_bicubic",
    "eight_bits",
    "encode_picture",
    "from_pillow",
    "gradient_map",
    "list_images",
    "quantize",
    "read_picture",
    "read_rgb",
    "read_size",
    "resize_bicubic",
    "rgb_conversions",
    "rgb_to_y",
    "sized_exif",
    "to_levels",
    "to_tensor",
    "to_uint8",
    "upscale_bicubic",
    "write_picture",
]
