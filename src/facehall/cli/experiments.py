"""The argument parser shared by the scripts of experiments/; the script's docstring is its --help."""

from __future__ import annotations

from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, Parser


def experiment_parser(about: str | None, results: Path | None = None) -> Parser:
    """Return a parser for an experiment script, which adds its own options.

    Args:
        about: the script's docstring.
        results: default of --results, the table written by the script; None adds no such option.
    """
    parser = Parser(description=about, **PARSER_OPTIONS)
    if results is not None:
        parser.add_argument(
            "--results", type=Path, default=results, metavar="FILE", help=f"({results.name} next to the script)"
        )
    return parser


def add_overrides(parser: Parser) -> None:
    """Also accept settings of facehall.train, after the script's own positional arguments, as `overrides`."""
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="settings of facehall.train")
