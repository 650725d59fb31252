"""User errors as one paragraph: what is wrong, and the closest valid key or option."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections.abc import Collection
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facehall.cli.renamed_keys import renamed_group
from facehall.config.build import conf_dir
from facehall.distributed.ranks import rank
from facehall.errors import USER_ERROR, FacehallError

OTHER_RANKS_DELAY = 3.0
"""Seconds that ranks other than 0 wait before they print an error themselves; usually rank 0 has ended them by then."""


def original_message(error: FacehallError) -> str:
    """Return the message of an error, without the traceback that a DataLoader worker process wraps it in."""
    name = f"{FacehallError.__module__}.{FacehallError.__qualname__}: "
    text = str(error)
    return text.rpartition(name)[2].strip() if "Original Traceback" in text else text


def exit_with_message(paragraph: str, status: int = USER_ERROR) -> NoReturn:
    """Print a paragraph (unless empty) on stderr and end the process with a status."""
    if paragraph:
        if rank() > 0:  # most errors occur in all processes: rank 0 reports them, and its end terminates the others
            time.sleep(OTHER_RANKS_DELAY)
        print(f"\nfacehall: {paragraph}", file=sys.stderr)
    raise SystemExit(status)


def config_error_text(error: HydraException, config_name: str) -> str:
    """Condense Hydra's multi-line error into one paragraph that names the closest existing key or option."""
    cause = error.__cause__
    wanted = re.search(r"'(hydra/(?:launcher|sweeper)\S*)'", str(error))
    if wanted and "Could not find" in str(error):
        return (
            f"{wanted[1]}: this Hydra plugin is not installed: pip install 'facehall[sweeps]'. Without it, -m runs the "
            "jobs of a sweep one after another."
        )
    key = getattr(cause, "full_key", None)
    parent = getattr(cause, "parent_node", None)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: no such option.{_nearest(option, error.options, 'Options')}"
    if isinstance(cause, OmegaConfBaseException) and key and isinstance(parent, DictConfig):
        known = {str(name) for name in OmegaConf.to_container(parent, resolve=False) or []}
        if "." not in key:
            known |= _groups(config_name)
        siblings = _nearest(key.rsplit(".", 1)[-1], known - {"hydra", "_target_"}, "Keys at this level")
        return f"the config has no key {key!r}.{siblings}"
    absent = re.search(r"Could not (?:override|find) '([\w/]+)'", str(error))
    if absent and (advice := renamed_group(absent[1].partition("/")[0])):
        return f"{str(error).splitlines()[0]} {advice}"
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    text = re.sub(
        r"(Set the environment variable|See https?:).*$|^Error parsing override '.*?' (?=\S)", "", text
    ).strip()
    if isinstance(error, OverrideParseException):
        return (
            f"the argument {error.override!r} is not of the form KEY=VALUE ({text}). Every setting is one argument, "
            "without spaces around the '='. A value with any of = ( ) [ ] { } , # or non-ASCII characters needs its "
            "own quotes inside the shell's: 'KEY=\"VALUE\"'."
        )
    return text


def _groups(config_name: str) -> set[str]:
    """Return the config groups of a primary config, which can be set on the command line too."""
    defaults = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{config_name}.yaml").defaults)
    assert isinstance(defaults, list)
    names = {str(name) for entry in defaults if isinstance(entry, dict) for name in entry}
    return {name.split("@")[-1] for name in names if not name.startswith("override ")}


def _nearest(wrong: str, known: Collection[str], title: str) -> str:
    if not known:
        return " This node has no keys."
    near = difflib.get_close_matches(wrong, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} {title}: {', '.join(sorted(known))}."
