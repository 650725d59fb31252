"""What every entry point does around its work: Hydra, and mistakes answered with a paragraph."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from facehall.cli.errors import complain, config_mistake, original_text
from facehall.cli.overrides import is_multirun, quote_paths
from facehall.cli.renamed_keys import refuse_old_arguments, refuse_old_keys
from facehall.config.build import conf_dir, missing_value_error
from facehall.config.plugins import import_plugins
from facehall.config.resolvers import register_resolvers
from facehall.errors import INTERRUPTED, FacehallError, Stopped
from facehall.io.logs import configure
from facehall.sweeps.job import JOB_OF_SWEEP, run_job
from facehall.sweeps.launch import end_with_sweep, run_sweep

_log = logging.getLogger(__name__)

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
    FACEHALL_LOG=quiet|info|debug says how much it tells of its work.
    """

    def decorate(work: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
            mistakes: list[Exception] = []

            @functools.wraps(work)
            def job(cfg: DictConfig) -> Any:
                try:
                    refuse_old_keys(cfg)
                    import_plugins(cfg.get("plugins") or ())
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
                configure()
                refuse_old_arguments(sys.argv[1:])
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
                _log.debug("the whole error:", exc_info=True)
                complain(original_text(error), error.status)
            except HydraException as error:
                _log.debug("the whole error:", exc_info=True)
                complain(config_mistake(error, config_name))
            except OmegaConfBaseException as error:
                complain(str(missing_value_error(error, config_name)))
            except Stopped as stop:
                complain(str(stop), stop.status)
            except KeyboardInterrupt:
                complain(f"interrupted. {_GO_ON.get(config_name, '')}", INTERRUPTED)

        return command

    return decorate


def in_multirun() -> bool:
    """Whether this job is one of a Hydra sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _drop_empty_folder() -> None:
    """Remove the output folder that Hydra made if nothing was put there (a mistake, or results elsewhere)."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.resolve() != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
