"""Fixtures of an empty machine: no caches, no settings, one tiny asset."""

from asset_fixtures import machine, publisher, tiny

__all__ = ["machine", "publisher", "tiny"]
