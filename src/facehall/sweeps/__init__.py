"""Sweeps: each job runs in its own process; a table compares the results. Torch is imported only where needed."""
