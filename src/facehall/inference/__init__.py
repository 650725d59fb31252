"""From a weights file to sharp pictures."""

from facehall.inference.plan import Job, plan
from facehall.inference.predictor import Failure, Outcome, Predictor

__all__ = ["Failure", "Job", "Outcome", "Predictor", "plan"]
