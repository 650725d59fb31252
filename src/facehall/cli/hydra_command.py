"""Sub-commands whose settings are Hydra's: ``facehall train …`` is ``python -m facehall.train …``."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from facehall.cli.parser import LAYOUT, Commands, add_level
from facehall.io.logs import ENVIRONMENT

_SETTINGS = """\

Settings are KEY=VALUE; GROUP=OPTION chooses a file conf/GROUP/OPTION.yaml. What can be set, with comments, is in
conf/{name}.yaml and the folders that it names:

{groups}
"""

_FLAGS = "--cfg job prints the whole configuration and does nothing; --hydra-help lists Hydra's further options."


def add_hydra_command(commands: Commands, name: str, help: str, description: str) -> None:
    """Add the sub-command for the module ``facehall.NAME`` with conf/NAME.yaml.

    Args:
        commands: the sub-commands.
        name: of the module and the primary config.
        help: one line for the list of commands.
        description: what it does, with examples.
    """
    parser = commands.add_parser(name, help=help, description=description, **LAYOUT)
    parser.passes_on = True
    parser.more_help = lambda: _more_help(name)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE").completer = _completer(name)
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of KEY=VALUE,VALUE")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"), help="print the configuration, do nothing")
    parser.add_argument("--hydra-help", action="store_true", help="Hydra's further options")
    add_level(parser)
    parser.set_defaults(work=_run, interrupted="", primary=name)


def _run(options: argparse.Namespace) -> None:
    """Become ``python -m facehall.NAME``: processes that a training starts, by Lightning or a launcher, repeat that."""
    if hasattr(options, "level"):
        os.environ[ENVIRONMENT] = options.level  # for those processes as well
    module = f"facehall.{options.primary}"
    before = sys.argv
    sys.argv = [module, *options.overrides]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.argv = before


def _more_help(name: str) -> str:
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
