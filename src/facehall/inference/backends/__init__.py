"""Inference backends: eager torch, faster torch variants, ONNX Runtime and OpenVINO."""

from facehall.inference.backends.base import Backend
from facehall.inference.backends.choice import BATCHED, NAMES, build, choose

__all__ = ["BATCHED", "NAMES", "Backend", "build", "choose"]
