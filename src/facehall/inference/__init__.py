"""Inference: load weights, upscale image files, export networks."""

import facehall.classical  # noqa: F401 - so that its weights files are known
from facehall.inference.plan import Job, plan
from facehall.inference.predictor import Failure, Outcome, Predictor

__all__ = ["Failure", "Job", "Outcome", "Predictor", "plan"]
