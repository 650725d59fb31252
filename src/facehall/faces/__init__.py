"""Faces in photographs: found, and cut out upright. Plain networks and geometry, no training."""
