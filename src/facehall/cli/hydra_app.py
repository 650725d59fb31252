"""What every entry point does around its work: Hydra, and mistakes answered with a paragraph."""

from __future__ import annotations

import difflib
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facehall.config.build import conf_dir, open_value
from facehall.config.resolvers import register_resolvers
from facehall.distributed.ranks import rank
from facehall.errors import INTERRUPTED, USER_MISTAKE, FacehallError, Stopped
from facehall.sweeps.job import JOB_OF_SWEEP, run_job
from facehall.sweeps.launch import end_with_sweep, run_sweep

OTHERS_WAIT = 3.0
"""Seconds after which a process of a training that is not the first says itself what is wrong, if it still runs."""

PATH_KEYS = (
    *("weights", "input", "output", "runs", "init", "resume", "run_dir", "folder", "sweeps", "hydra.run.dir"),
    *("data.root", "data.test_root", "data.boxes", "patches.root"),
    *("metrics.lpips_weights", "perceptual.extractor.weights", "perceptual.weights"),
)
"""Keys whose values are taken as they stand, whatever Hydra's grammar would make of their characters."""

_GO_ON = {
    "train": "A training goes on from its last checkpoint with the same command and resume=last.",
    "predict": "The pictures that are written are whole; the same command goes on with the others.",
    "evaluate": "Nothing was written.",
    "download": "What has come is kept; the same command goes on from there.",
    "mine": "What is stored is whole; the same command goes on with the rest.",
}


def entry_point(config_name: str, sweeps: bool = False) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a function of a composed config into a command.

    Args:
        config_name: the primary config in conf/.
        sweeps: each job of a multirun is a command of its own, and a table stands at the end (facehall.sweeps).

    The command prints one paragraph and exits with status 2 on a mistake of the user's (a FacehallError, or a config
    that does not compose), with 130 on Ctrl-C (128 and its number on another signal that stopped a training), with 200
    where another process of the training was lost, and leaves everything else its traceback.
    """

    def decorate(work: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
            mistakes: list[Exception] = []

            @functools.wraps(work)
            def job(cfg: DictConfig) -> Any:
                try:
                    return work(cfg)
                except (FacehallError, OmegaConfBaseException) as error:
                    if in_multirun():
                        raise
                    mistakes.append(error)  # past Hydra, which would announce it in its own words first
                except SystemExit as error:
                    if isinstance(error.__context__, KeyboardInterrupt):  # Lightning's answer to Ctrl-C
                        raise KeyboardInterrupt from None
                    raise
                finally:
                    _drop_empty_folder()

            try:
                sys.argv[1:] = quote_paths(sys.argv[1:])
                register_resolvers()
                run = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
                if os.environ.get(JOB_OF_SWEEP):
                    end_with_sweep()
                if sweeps and is_multirun(sys.argv[1:]):
                    run_sweep(run(run_job))
                else:
                    run(job)()
                if mistakes:
                    raise mistakes[0]
            except FacehallError as error:
                _complain(original_text(error), error.status)
            except HydraException as error:
                _complain(_config_mistake(error, config_name))
            except OmegaConfBaseException as error:
                _complain(str(open_value(error, config_name)))
            except Stopped as stop:
                _complain(str(stop), stop.status)
            except KeyboardInterrupt:
                _complain(f"interrupted. {_GO_ON.get(config_name, '')}", INTERRUPTED)

        return command

    return decorate


def in_multirun() -> bool:
    """Whether this job is one of a Hydra sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def is_multirun(arguments: list[str]) -> bool:
    """Whether command-line arguments ask for a sweep."""
    return bool({"-m", "--multirun"} & set(arguments))


def quote_paths(arguments: list[str]) -> list[str]:
    """Quote the values of PATH_KEYS among command-line arguments, so that file names need no second layer of quotes.

    Unquoted, Hydra's grammar refuses (or reads as lists, numbers or choices) names with ``= ( ) [ ] { } , # & ~``,
    quotes or anything beyond ASCII. Values that are quoted already, ``null``, and arguments of a sweep, where a comma
    separates choices, stay as they are.
    """
    if is_multirun(arguments):
        return arguments
    return [_quote_path(argument) for argument in arguments]


def _quote_path(argument: str) -> str:
    key, equals, value = argument.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not equals or key.lstrip("+") not in PATH_KEYS or quoted or value in ("", "null"):
        return argument
    # In Hydra's quoted strings backslashes are themselves, except in front of a quote.
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)
    value = re.sub(r"(\\+)$", r"\1\1", value)
    return f"{key}='{value}'"


def original_text(error: FacehallError) -> str:
    """The paragraph of an error, freed of the traceback that a DataLoader's worker process wraps it in."""
    name = f"{FacehallError.__module__}.{FacehallError.__qualname__}: "
    text = str(error)
    return text.rpartition(name)[2].strip() if "Original Traceback" in text else text


def _complain(paragraph: str, status: int = USER_MISTAKE) -> NoReturn:
    if paragraph:
        if rank() > 0:  # most mistakes are those of all processes: rank 0 speaks, and its end is that of the others
            time.sleep(OTHERS_WAIT)
        print(f"\nfacehall: {paragraph}", file=sys.stderr)
    raise SystemExit(status)


def _drop_empty_folder() -> None:
    """Remove the output folder that Hydra made if nothing was put there (a mistake, or results elsewhere)."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.resolve() != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _config_mistake(error: HydraException, config_name: str) -> str:
    """One paragraph out of Hydra's several lines, with the nearest key or option that does exist."""
    cause = error.__cause__
    wanted = re.search(r"'(hydra/(?:launcher|sweeper)\S*)'", str(error))
    if wanted and "Could not find" in str(error):
        return (
            f"{wanted[1]} is a Hydra plugin that is not installed here: pip install 'facehall[sweeps]'. Without it, -m "
            "runs the jobs of a sweep one after another."
        )
    key = getattr(cause, "full_key", None)
    parent = getattr(cause, "parent_node", None)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: there is no such option.{_nearest(option, error.options, 'Options')}"
    if isinstance(cause, OmegaConfBaseException) and key and isinstance(parent, DictConfig):
        known = {str(name) for name in OmegaConf.to_container(parent, resolve=False) or []}
        if "." not in key:
            known |= _groups(config_name)
        siblings = _nearest(key.rsplit(".", 1)[-1], known - {"hydra", "_target_"}, "Its siblings")
        return f"there is no key {key!r} in the config.{siblings}"
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    text = re.sub(
        r"(Set the environment variable|See https?:).*$|^Error parsing override '.*?' (?=\S)", "", text
    ).strip()
    if isinstance(error, OverrideParseException):
        return (
            f"the argument {error.override!r} does not read as KEY=VALUE ({text}). Every setting is one argument, "
            "KEY=VALUE without spaces around the '='. A value that holds any of = ( ) [ ] { } , # or characters beyond "
            "ASCII needs quotes of its own inside the shell's: 'KEY=\"VALUE\"'."
        )
    return text


def _groups(config_name: str) -> set[str]:
    """The config groups that a primary config chooses from, which are keys of the command line too."""
    defaults = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{config_name}.yaml").defaults)
    assert isinstance(defaults, list)
    names = {str(name) for entry in defaults if isinstance(entry, dict) for name in entry}
    return {name.split("@")[-1] for name in names if not name.startswith("override ")}


def _nearest(wrong: str, known: Collection[str], title: str) -> str:
    if not known:
        return " Nothing can be set there."
    near = difflib.get_close_matches(wrong, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} {title}: {', '.join(sorted(known))}."
