"""Performance settings for this machine: each is configured or chosen here, with a reason for the log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from facehall.errors import FacehallError
from facehall.io.machine import cores, keep_freed_memory

AUTO = "auto"
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Choice:
    """One performance setting.

    Attributes:
        name: its config key.
        value: the chosen value.
        reason: for the log.
    """

    name: str
    value: Any
    reason: str


def device_type(accelerator: str) -> str:
    """Return the torch device type of a Lightning accelerator: cuda, mps, cpu, …"""
    if accelerator in ("gpu", "cuda", AUTO) and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("gpu", "mps", AUTO) and torch.backends.mps.is_available():
        return "mps"
    return "cpu" if accelerator == AUTO else {"gpu": "cuda"}.get(accelerator, accelerator)


def choose_precision(value: str, device: str) -> Choice:
    """trainer.precision: bfloat16 autocast if the hardware supports it natively, else float32."""
    key = "trainer.precision"
    if value != AUTO:
        return Choice(key, value, "as set")
    unit = _bfloat16_unit(device)
    if unit:
        return Choice(key, "bf16-mixed", f"{unit} has native bfloat16; weights and validation stay in float32")
    return Choice(key, "32-true", f"no native bfloat16 detected on this {device}")


def _bfloat16_unit(device: str) -> str | None:
    """Return the name of the hardware with native bfloat16, or None if there is none or it cannot be detected."""
    if device == "cuda":
        fast = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
        return torch.cuda.get_device_name() if fast else None
    if device != "cpu":
        return None
    units = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    for name, function in units.items():
        supported = getattr(torch.cpu, function, None)  # private, may disappear
        if supported is not None and supported():
            return f"the CPU's {name}"
    return None


def choose_memory_format(value: str, device: str) -> Choice:
    """runtime.memory_format: channels last, the native layout of convolution kernels."""
    key = "runtime.memory_format"
    if value not in (AUTO, *MEMORY_FORMATS):
        raise FacehallError(f"{key}={value}: give auto, {' or '.join(MEMORY_FORMATS)}.")
    if value != AUTO:
        return Choice(key, value, "as set")
    if device in ("cpu", "cuda"):
        return Choice(key, "channels_last", "convolutions need not reorder their inputs")
    return Choice(key, "contiguous", f"channels_last is untested on {device}")


def choose_fused(value: bool | str, device: str) -> Choice:
    """runtime.fused: update all parameters in one kernel; the `optimizer` configs interpolate it."""
    key = "runtime.fused"
    if value not in (AUTO, True, False):
        raise FacehallError(f"{key}={value}: give auto, true or false.")
    if value != AUTO:
        return Choice(key, value, "as set")
    return Choice(key, device in ("cpu", "cuda"), "one kernel per optimizer step" if device != "mps" else "not on mps")


def choose_threads(value: int | None) -> Choice:
    """runtime.threads: set the number of intra-op threads, by default one per core available to this process.

    Raises:
        FacehallError: fewer than one.
    """
    key = "runtime.threads"
    if value is not None:
        if value < 1:
            raise FacehallError(f"{key}={value}: give at least 1, or null for one per core.")
        torch.set_num_threads(value)
        return Choice(key, value, "as set")
    chosen = min(torch.get_num_threads(), cores())  # torch considers physical cores and OMP_NUM_THREADS
    torch.set_num_threads(chosen)
    return Choice(key, chosen, "OMP_NUM_THREADS" if os.environ.get("OMP_NUM_THREADS") else "one per core")


def choose_data_threads(value: int, device: str) -> Choice:
    """runtime.data_threads: threads that each compute a slice of every batch.

    Raises:
        FacehallError: fewer than one, or more than one on a device other than the CPU.
    """
    key = "runtime.data_threads"
    if value < 1:
        raise FacehallError(f"{key}={value}: give at least 1.")
    if value > 1 and device != "cpu":
        raise FacehallError(f"{key}={value} is for trainings on the CPU, not on {device}: set {key}=1.")
    return Choice(key, value, "as set" if value > 1 else "each batch as a whole")


def choose_keep_memory(value: bool | str, device: str) -> Choice:
    """runtime.keep_memory: on the CPU, freed memory stays with the process, for the activations of the next step."""
    key = "runtime.keep_memory"
    if value not in (AUTO, True, False):
        raise FacehallError(f"{key}={value}: give auto, true or false.")
    if value is False or (value == AUTO and device != "cpu"):
        return Choice(key, False, "as set" if value is False else f"not on {device}")
    if keep_freed_memory():
        return Choice(key, True, "activations of a step take the memory of the last one")
    if value is True:
        raise FacehallError(f"{key}=true needs Linux with glibc: set {key}=auto.")
    return Choice(key, False, "only with glibc")
