"""``facehall completion``: print the shell completion script."""

from __future__ import annotations

import argparse

from facehall.cli.parser import PARSER_OPTIONS, Commands

_ABOUT = """\
Print a script for Tab completion of `facehall`: commands, options, names of weights, KEY=VALUE settings.

  bash   facehall completion bash > ~/.local/share/bash-completion/completions/facehall
  zsh    facehall completion zsh > ~/.zfunc/_facehall    # with fpath+=~/.zfunc; autoload -U compinit; compinit
  fish   facehall completion fish > ~/.config/fish/completions/facehall.fish
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "completion", help="print a shell completion script", description=_ABOUT, **PARSER_OPTIONS
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=_print, interrupted_hint="")


def _print(options: argparse.Namespace) -> None:
    import argcomplete

    print(argcomplete.shellcode(["facehall"], shell=options.shell))
