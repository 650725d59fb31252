"""Which backend? One by name, or the fastest that a short measurement finds true to the network."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.inference.backends import onnxruntime as _onnxruntime
from facehall.inference.backends import openvino as _openvino
from facehall.inference.backends.base import Backend
from facehall.inference.backends.bf16 import bf16, native
from facehall.inference.backends.compiled import compiled
from facehall.inference.backends.eager import channels_last, eager
from facehall.io.atomic import write_text
from facehall.io.cache import cache_dir
from facehall.io.timing import interleaved, medians, seconds
from facehall.models.generators import Generator

BUILDERS: dict[str, Callable[[Generator, torch.device], Backend]] = {
    "eager": eager,
    "channels_last": channels_last,
    "bf16": bf16,
    "compiled": compiled,
    "onnxruntime": _onnxruntime.onnxruntime,
    "openvino": _openvino.openvino,
    "openvino_bf16": _openvino.openvino_bf16,
}
NAMES = ("auto", *BUILDERS)
CPU_ONLY = ("onnxruntime", "openvino", "openvino_bf16")

WORTH = 60.0
"""Seconds that a job would take in eager torch from which on converting (some 10 s) and measuring pay."""
SIDE = 64
"""LR pixels of the picture that is measured."""
ROUNDS = 3
MAX_LEVELS = 8.0
"""How far a backend's worst value may be from eager, in levels of 8 bits …"""
MIN_PSNR = 52.0
"""… and the least PSNR to it, dB: a picture at 32 dB then loses no more than 0.05 dB."""


def build(generator: Generator, device: torch.device, name: str) -> Backend:
    """The backend called `name`.

    Raises:
        FacehallError: there is none, it does not run on `device`, or its packages are not installed.
    """
    if name not in BUILDERS:
        raise FacehallError(f"backend={name}: there is no such backend. Give {', '.join(NAMES)}.")
    if name in CPU_ONLY and device.type != "cpu":
        raise FacehallError(f"backend={name} runs on the CPU only, not on {device}. Give device=cpu, or backend=auto.")
    return BUILDERS[name](generator, device)


def choose(generator: Generator, device: torch.device, name: str = "auto", pixels: int = 0) -> tuple[Backend, str]:
    """A backend, and one line that says which and why; it begins with the name.

    ``auto`` is eager torch on anything but a CPU. On a CPU a job that eager torch would do in less than `WORTH`
    seconds gets the best guess that needs no conversion; a longer one gets the fastest of those that are installed
    and true to the network, measured once and remembered for this architecture and machine.

    Args:
        generator: in eval mode, on `device`.
        pixels: LR pixels of the whole job, as far as is known.

    Raises:
        FacehallError: see `build`.
    """
    if name != "auto":
        return build(generator, device, name), f"{name} (as asked for)"
    if device.type != "cpu":
        return build(generator, device, "eager"), f"eager ({device})"
    long = pixels > 0 and pixels * _seconds_per_pixel(generator) >= WORTH
    choices = cache_dir() / "backends" / "choices.json"
    key = _key(generator)
    remembered = _read(choices).get(key)
    if remembered and remembered["name"] in BUILDERS and (long or _ready(remembered["name"], generator)):
        with suppress(FacehallError):  # a package that has gone since
            return build(generator, device, remembered["name"]), f"{remembered['name']} ({remembered['why']})"
    if not long:
        guess = "bf16" if native() else "channels_last"
        return build(generator, device, guess), f"{guess} (a guess: too little to do for a measurement to pay)"
    backend, chosen, why = _measured(generator, device)
    with suppress(OSError):
        write_text(choices, json.dumps({**_read(choices), key: {"name": chosen, "why": why}}, indent=1))
    return backend, f"{chosen} ({why})"


def candidates() -> list[str]:
    """What is worth a measurement here: ONNX Runtime where OpenVINO, mostly faster, is not installed."""
    names = ["eager", "channels_last"]
    if native():
        names.append("bf16")
    if _version("openvino"):
        return [*names, "openvino", *(["openvino_bf16"] if native() else [])]
    if all(_version(package) for package in ("onnx", "onnxruntime", "onnxscript")):
        names.append("onnxruntime")
    return names


def parity(sr: Tensor, reference: Tensor) -> tuple[float, float]:
    """The largest difference of two images in levels of 8 bits, and the PSNR of one to the other in dB."""
    difference = sr.clamp(0, 1) - reference.clamp(0, 1)
    mse = float(difference.double().square().mean())
    return 255 * float(difference.abs().max()), -10 * math.log10(mse) if mse else math.inf


@torch.inference_mode()
def _measured(generator: Generator, device: torch.device) -> tuple[Backend, str, str]:
    """By turns, so that other work on the machine hits all alike."""
    lr = _picture(SIDE)
    reference = generator(lr)
    backends: dict[str, Backend] = {}
    differences: dict[str, tuple[float, float]] = {}
    for name in candidates():
        with suppress(FacehallError, RuntimeError):  # one that fails on this network is not chosen
            backend = build(generator, device, name)
            levels, psnr = parity(backend(lr), reference)
            if levels <= MAX_LEVELS and psnr >= MIN_PSNR:
                backends[name], differences[name] = backend, (levels, psnr)
    tasks = {name: partial(backend, lr) for name, backend in backends.items()}
    times = medians(interleaved(tasks, ROUNDS, warmup=0))  # they have run for the parity
    best = min(times, key=times.__getitem__)
    levels, psnr = differences[best]
    ratio = times["eager"] / times[best]
    why = f"measured: {ratio:.1f} times as fast as eager, at most {levels:.1f}/255 from it"
    return backends[best], best, why if best != "eager" else "measured: nothing here is faster"


def _picture(side: int) -> Tensor:
    """(1, 3, side, side): soft and hard edges, so that differences are those of pictures, not of noise."""
    random = torch.Generator().manual_seed(0)
    soft = upscale_bicubic(torch.rand(1, 3, side // 8, side // 8, generator=random), 8).clamp(0, 1)
    hard = torch.rand(1, 3, side // 8, side // 8, generator=random).repeat_interleave(8, -1).repeat_interleave(8, -2)
    return torch.where(torch.arange(side) < side // 2, soft, hard)


@torch.inference_mode()
def _seconds_per_pixel(generator: Generator, side: int = 24) -> float:
    lr = _picture(side)
    generator(lr)
    return min(seconds(partial(generator, lr)) for _ in range(2)) / side**2


def _ready(name: str, generator: Generator) -> bool:
    """Whether no conversion stands between a backend and its first picture."""
    modules = {"onnxruntime": _onnxruntime, "openvino": _openvino, "openvino_bf16": _openvino}
    try:
        return name not in modules or modules[name].path(generator).is_file()
    except ImportError:
        return False


def _key(generator: Generator) -> str:
    """What a measurement holds for: architecture, CPU, threads, versions."""
    packages = [_version(package) for package in ("torch", "openvino", "onnxruntime", "facehall")]
    what = [type(generator).__name__, generator.arguments, _cpu(), torch.get_num_threads(), packages, candidates()]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache
def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "flags")):
                return line
    return platform.processor() or platform.machine()


@lru_cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _read(choices: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(choices.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or not ours: measured anew
        return {}
