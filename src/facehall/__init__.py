"""facehall: face hallucination (face super-resolution, x2 to x8) with PyTorch Lightning."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("facehall")
except PackageNotFoundError:  # the source tree on sys.path, not installed
    __version__ = "0+unknown"
