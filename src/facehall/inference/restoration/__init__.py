"""The steps of restoring faces in photographs, see `facehall.inference.photographs`."""
