"""Faces: found in photographs, aligned, labelled and recognised. Plain networks and geometry."""
