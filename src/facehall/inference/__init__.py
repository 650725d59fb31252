"""Inference: load weights, upscale image files, export networks."""

from facehall.inference.plan import Job, plan
from facehall.inference.predictor import Failure, Outcome, Predictor

__all__ = ["Failure", "Job", "Outcome", "Predictor", "plan"]
