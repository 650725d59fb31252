"""Sweeps: jobs in processes of their own, and the table that they leave. Nothing here imports torch before it must."""
