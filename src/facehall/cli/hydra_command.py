"""Sub-commands with Hydra settings: ``facehall train …`` runs ``python -m facehall.train …``."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from facehall.cli.parser import PARSER_OPTIONS, Commands, add_verbosity
from facehall.io.logs import LEVEL_VARIABLE

_SETTINGS = """\

Settings are KEY=VALUE; GROUP=OPTION selects the file conf/GROUP/OPTION.yaml. All settings are documented in
conf/{name}.yaml and in the folders of its groups:

{groups}
"""

_FLAGS = "--cfg job prints the composed configuration and exits; --hydra-help lists further options of Hydra."


def add_hydra_command(commands: Commands, name: str, help: str, description: str) -> None:
    """Add the sub-command for the module ``facehall.NAME`` with conf/NAME.yaml.

    Args:
        commands: the sub-commands to add to.
        name: name of the module and the primary config.
        help: one line for the list of commands.
        description: full description, with examples.
    """
    parser = commands.add_parser(name, help=help, description=description, **PARSER_OPTIONS)
    parser.forwards_arguments = True
    parser.extra_help = lambda: _extra_help(name)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE").completer = _completer(name)
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of KEY=VALUE,VALUE")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"), help="print the configuration and exit")
    parser.add_argument("--hydra-help", action="store_true", help="list further options of Hydra")
    add_verbosity(parser)
    parser.set_defaults(run=_run, interrupted_hint="", primary=name)


def _run(options: argparse.Namespace) -> None:
    """Run as ``python -m facehall.NAME``: Lightning and launchers start further processes with the same command."""
    if hasattr(options, "level"):
        os.environ[LEVEL_VARIABLE] = options.level  # inherited by those processes
    module = f"facehall.{options.primary}"
    before = sys.argv
    sys.argv = [module, *options.overrides]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.argv = before


def _extra_help(name: str) -> str:
    from facehall.cli.choices import groups

    found = groups(name)
    width = max(map(len, found), default=0)
    listed = "\n".join(f"  {group:{width}}  {', '.join(options)}" for group, options in found.items())
    return _SETTINGS.format(name=name, groups=listed) + _FLAGS


def _completer(name: str) -> Any:
    def complete(prefix: str, **unused: Any) -> Sequence[str]:
        from facehall.cli.choices import completions

        return completions(name, prefix)

    return complete
