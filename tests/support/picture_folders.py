"""Small picture folders in the layouts that the sources expect."""

import numpy as np
from PIL import Image


def names(source, which):
    return [file.name for file in source.split(which)]


def write(path, width=32, height=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def make_pairs(root, scale=2, count=4):
    for i in range(count):
        write(root / "HR" / f"{i}.png", 32, 24)
        write(root / "LR" / f"{i}.png", 32 // scale, 24 // scale)
    return root


def make_div2k(root, test=False):
    for name, count in (("train", 3), ("valid", 4), *((("test", 2),) if test else ())):
        for i in range(1, count + 1):
            write(root / f"DIV2K_{name}_HR" / f"{i:04d}.png")
            write(root / f"DIV2K_{name}_LR_bicubic" / "X4" / f"{i:04d}x4.png", 8, 8)
    return root
