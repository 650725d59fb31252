"""How the scripts of experiments/ take their settings: one kind of parser, whose --help is the script's docstring."""

from __future__ import annotations

from pathlib import Path

from facehall.cli.parser import LAYOUT, Parser


def experiment_parser(about: str | None, results: Path | None = None) -> Parser:
    """A parser for an experiment; the script adds options of its own.

    Args:
        about: the script's docstring.
        results: default of --results, the table that the script writes; None adds no such option.
    """
    parser = Parser(description=about, **LAYOUT)
    if results is not None:
        parser.add_argument("--results", type=Path, default=results, metavar="FILE", help=f"({results.name} beside it)")
    return parser


def add_overrides(parser: Parser) -> None:
    """Let the script take settings of facehall.train too, behind its own positional arguments, as `overrides`."""
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="settings of facehall.train")
