"""The Hydra entry points: compose the config, run, and report user errors as one paragraph."""

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

from facehall.cli.errors import config_error_text, exit_with_message, original_message
from facehall.cli.overrides import is_multirun, quote_paths
from facehall.cli.renamed_keys import refuse_old_arguments, refuse_old_keys
from facehall.config.build import conf_dir, missing_value_error
from facehall.config.plugins import import_plugins
from facehall.config.resolvers import register_resolvers
from facehall.errors import INTERRUPTED, FacehallError, StoppedBySignal
from facehall.io.logs import configure
from facehall.sweeps.job import run_job
from facehall.sweeps.launch import run_sweep, terminate_with_sweep
from facehall.sweeps.process import SWEEP_JOB_VARIABLE

_log = logging.getLogger(__name__)

_RESUME_HINTS = {
    "train": "Run the same command with resume=last to resume from the last checkpoint.",
    "predict": "Images written so far are complete; run the same command for the rest.",
    "restore": "Photographs written so far are complete; run the same command for the rest.",
    "fit": "Nothing was written.",
    "evaluate": "Nothing was written.",
    "compare": "Trainings are kept; run the same command to continue them.",
    "download": "Partial downloads are kept; run the same command to resume.",
    "annotate": "Annotations made so far are complete; run the same command for the rest.",
    "mine": "Everything stored so far is complete; run the same command for the rest.",
}


def entry_point(config_name: str, sweeps: bool = False) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn a function of a composed config into a command.

    On a user error (a FacehallError, or a config that does not compose) the command prints one paragraph and exits with
    status 2; on Ctrl-C it exits with 130 (128 + N if another signal N stopped a training), and with 200 if another
    process of the training was lost. All other exceptions keep their traceback. FACEHALL_LOG=quiet|info|debug sets
    the verbosity.

    Args:
        config_name: the primary config in conf/.
        sweeps: run each job of a multirun as its own process and write a table at the end (facehall.sweeps).
    """

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
            errors: list[Exception] = []

            @functools.wraps(function)
            def job(cfg: DictConfig) -> Any:
                try:
                    refuse_old_keys(cfg)
                    import_plugins(cfg.get("plugins") or ())
                    return function(cfg)
                except (FacehallError, OmegaConfBaseException) as error:
                    if in_multirun():
                        raise
                    errors.append(error)  # bypasses Hydra, which would first print its own message
                except SystemExit as error:
                    if isinstance(error.__context__, KeyboardInterrupt):  # how Lightning reacts to Ctrl-C
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
                if os.environ.get(SWEEP_JOB_VARIABLE):
                    terminate_with_sweep()
                if sweeps and is_multirun(sys.argv[1:]):
                    run_sweep(run(run_job))
                else:
                    run(job)()
                if errors:
                    raise errors[0]
            except FacehallError as error:
                _log.debug("full traceback:", exc_info=True)
                exit_with_message(original_message(error), error.status)
            except HydraException as error:
                _log.debug("full traceback:", exc_info=True)
                exit_with_message(config_error_text(error, config_name))
            except OmegaConfBaseException as error:
                exit_with_message(str(missing_value_error(error, config_name)))
            except StoppedBySignal as stop:
                exit_with_message(str(stop), stop.status)
            except KeyboardInterrupt:
                exit_with_message(f"interrupted. {_RESUME_HINTS.get(config_name, '')}", INTERRUPTED)

        return command

    return decorate


def in_multirun() -> bool:
    """Return whether this job belongs to a Hydra sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _drop_empty_folder() -> None:
    """Remove the output folder created by Hydra if it is empty (after an error, or with results elsewhere)."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.resolve() != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
