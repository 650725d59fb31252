"""Preprocessing of Hydra's command-line arguments: quoting of paths."""

from __future__ import annotations

import re

PATH_KEYS = (
    *("weights", "input", "output", "runs", "init", "resume", "run_dir", "folder", "sweeps", "hydra.run.dir"),
    *("set", "root", "train.settings", "train.face_settings"),
    *("data.root", "data.test_root", "data.boxes", "patches.root"),
    *("metrics.lpips_weights", "losses.perceptual.extractor.weights", "losses.perceptual.weights"),
)
"""Keys whose values are taken literally, not parsed by Hydra's override grammar."""


def is_multirun(arguments: list[str]) -> bool:
    """Return whether the command-line arguments request a sweep."""
    return bool({"-m", "--multirun"} & set(arguments))


def quote_paths(arguments: list[str]) -> list[str]:
    """Quote the values of PATH_KEYS in command-line arguments, so that file names need no second layer of quotes.

    Unquoted, Hydra's grammar rejects (or parses as lists, numbers or choices) names with ``= ( ) [ ] { } , # & ~``,
    quotes or non-ASCII characters. Quoted values, ``null``, and arguments of a sweep, where a comma separates choices,
    are left unchanged.
    """
    if is_multirun(arguments):
        return arguments
    return [_quote_path(argument) for argument in arguments]


def _quote_path(argument: str) -> str:
    key, equals, value = argument.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not equals or key.lstrip("+") not in PATH_KEYS or quoted or value in ("", "null"):
        return argument
    # In Hydra's quoted strings a backslash is literal, except before a quote.
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)
    value = re.sub(r"(\\+)$", r"\1\1", value)
    return f"{key}='{value}'"
