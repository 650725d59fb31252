"""What every entry point does around its work: Hydra, and mistakes answered with a paragraph."""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facehall.config import conf_dir, open_value
from facehall.errors import FacehallError
from facehall.runs import register_resolvers

USER_MISTAKE = 2


def entry_point(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a function of a composed config into a command.

    Args:
        config_name: the primary config in conf/.

    The command prints one paragraph and exits with status 2 on a mistake of the user's (a FacehallError, or a config
    that does not compose) and leaves everything else its traceback.
    """

    def decorate(work: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def command() -> None:
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises instead of printing and exiting
            mistakes: list[FacehallError] = []

            @functools.wraps(work)
            def job(cfg: DictConfig) -> Any:
                try:
                    return work(cfg)
                except FacehallError as error:
                    if in_multirun():
                        raise
                    mistakes.append(error)  # past Hydra, which would announce it in its own words first

            try:
                register_resolvers()
                hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(job)()
                if mistakes:
                    raise mistakes[0]
            except FacehallError as error:
                _complain(str(error))
            except HydraException as error:
                _complain(_config_mistake(error))
            except OmegaConfBaseException as error:
                _complain(str(open_value(error, config_name)))
            except KeyboardInterrupt:
                _complain("Interrupted. A training goes on from its last checkpoint with the same command and resume=last.")

        return command

    return decorate


def in_multirun() -> bool:
    """Whether this job is one of a Hydra sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _complain(paragraph: str) -> None:
    print(f"\nfacehall: {paragraph}", file=sys.stderr)
    raise SystemExit(USER_MISTAKE)


def _config_mistake(error: HydraException) -> str:
    """One paragraph out of Hydra's several lines, with the nearest key that does exist."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(line for line in lines if not line.startswith("Set the environment variable"))
    cause = error.__cause__
    key = getattr(cause, "full_key", None)
    parent = getattr(cause, "parent_node", None)
    if isinstance(cause, OmegaConfBaseException) and key and isinstance(parent, DictConfig):
        known = [str(name) for name in OmegaConf.to_container(parent, resolve=False) or [] if name != "hydra"]
        near = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"there is no key {key!r} in the config.{hint} Its siblings: {', '.join(sorted(known))}."
    return text
