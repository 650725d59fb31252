"""Faces: points, alignment, labels and recognition. Plain networks and geometry."""
