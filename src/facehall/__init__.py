"""facehall: face hallucination (face super-resolution, x2 to x8) with PyTorch Lightning."""

__version__ = "0.3.0.dev0"
