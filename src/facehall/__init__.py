"""facehall: face hallucination (face super-resolution, x2 to x8) with PyTorch Lightning."""

__version__ = "0.2.0"
