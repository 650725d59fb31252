"""``facehall completion``: what a shell needs to complete the command."""

from __future__ import annotations

import argparse

from facehall.cli.parser import LAYOUT, Commands

_ABOUT = """\
Print what makes a shell complete `facehall` with Tab: commands, options, names of weights, KEY=VALUE settings.

  bash   facehall completion bash > ~/.local/share/bash-completion/completions/facehall
  zsh    facehall completion zsh > ~/.zfunc/_facehall    # with fpath+=~/.zfunc; autoload -U compinit; compinit
  fish   facehall completion fish > ~/.config/fish/completions/facehall.fish
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("completion", help="complete `facehall` in a shell", description=_ABOUT, **LAYOUT)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(work=_print, interrupted="")


def _print(options: argparse.Namespace) -> None:
    import argcomplete

    print(argcomplete.shellcode(["facehall"], shell=options.shell))
