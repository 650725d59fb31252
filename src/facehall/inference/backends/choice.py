"""Backend selection: by name, or the fastest accurate one according to a short benchmark."""

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
from facehall.inference.backends.bf16 import bf16, has_native_bf16
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
BATCHED = ("eager", "channels_last", "bf16")
"""Backends that take several images at once."""
CPU_ONLY = ("onnxruntime", "openvino", "openvino_bf16")

MIN_JOB_SECONDS = 60.0
"""Shortest job, in seconds of eager torch, for which conversion (some 10 s) and a benchmark pay off."""
BENCHMARK_SIDE = 64
"""Side of the benchmark image in LR pixels."""
ROUNDS = 3
MAX_DIFFERENCE = 8.0
"""Largest accepted difference to eager torch in 8-bit levels."""
MIN_PSNR = 52.0
"""Lowest accepted PSNR to eager torch in dB: an image at 32 dB then loses no more than 0.05 dB."""


def build(generator: Generator, device: torch.device, name: str) -> Backend:
    """Build the backend called `name`.

    Raises:
        FacehallError: if the name is unknown, the backend does not support `device` or `generator`, or its packages are
            missing.
    """
    if name not in BUILDERS:
        raise FacehallError(f"backend={name}: unknown backend. Choose one of {', '.join(NAMES)}.")
    if generator.eager_only and name != "eager":
        kind = generator.arguments.get("network", type(generator).__name__)
        raise FacehallError(f"backend={name} cannot run {kind}, a classical method. Set backend=eager or auto.")
    if name in CPU_ONLY and device.type != "cpu":
        raise FacehallError(f"backend={name} runs on the CPU only, not on {device}. Set device=cpu or backend=auto.")
    return BUILDERS[name](generator, device)


def choose(generator: Generator, device: torch.device, name: str = "auto", pixels: int = 0) -> tuple[Backend, str]:
    """Select and build a backend; return it with a description that starts with its name and gives the reason.

    ``auto`` is eager torch on any device but a CPU. On a CPU, jobs that eager torch finishes within `MIN_JOB_SECONDS`
    use the presumably fastest backend that needs no conversion. Longer jobs use the fastest installed backend that is
    accurate enough; the benchmark runs once per architecture and machine, and its result is cached.

    Args:
        generator: the network, in eval mode on `device`.
        device: the device to run on.
        name: a backend, or ``auto``.
        pixels: LR pixels of the whole job; 0 if unknown.

    Raises:
        FacehallError: see `build`.
    """
    if name != "auto":
        return build(generator, device, name), f"{name} (as requested)"
    if device.type != "cpu":
        return build(generator, device, "eager"), f"eager ({device})"
    if generator.eager_only:
        return build(generator, device, "eager"), "eager (the only one for classical methods)"
    long = pixels > 0 and pixels * _seconds_per_pixel(generator) >= MIN_JOB_SECONDS
    choices = cache_dir() / "backends" / "choices.json"
    key = _key(generator)
    remembered = _read_choices(choices).get(key)
    if remembered and remembered["name"] in BUILDERS and (long or _is_converted(remembered["name"], generator)):
        with suppress(FacehallError):  # its package has been uninstalled since
            return build(generator, device, remembered["name"]), f"{remembered['name']} ({remembered['why']})"
    if not long:
        guess = "bf16" if has_native_bf16() else "channels_last"
        return build(generator, device, guess), f"{guess} (a guess: the job is too short for a benchmark)"
    backend, chosen, why = _measure(generator, device)
    with suppress(OSError):
        write_text(choices, json.dumps({**_read_choices(choices), key: {"name": chosen, "why": why}}, indent=1))
    return backend, f"{chosen} ({why})"


def candidates() -> list[str]:
    """Return the backends to benchmark: ONNX Runtime only if OpenVINO, which is usually faster, is not installed."""
    names = ["eager", "channels_last"]
    if has_native_bf16():
        names.append("bf16")
    if _version("openvino"):
        return [*names, "openvino", *(["openvino_bf16"] if has_native_bf16() else [])]
    if all(_version(package) for package in ("onnx", "onnxruntime", "onnxscript")):
        names.append("onnxruntime")
    return names


def parity(sr: Tensor, reference: Tensor) -> tuple[float, float]:
    """Return the largest difference of two images in 8-bit levels, and the PSNR between them in dB."""
    difference = sr.clamp(0, 1) - reference.clamp(0, 1)
    mse = float(difference.double().square().mean())
    return 255 * float(difference.abs().max()), -10 * math.log10(mse) if mse else math.inf


@torch.inference_mode()
def _measure(generator: Generator, device: torch.device) -> tuple[Backend, str, str]:
    """Benchmark the candidates; return the fastest accurate backend, its name and the reason."""
    lr = _test_image(BENCHMARK_SIDE)
    reference = generator(lr)
    backends: dict[str, Backend] = {}
    differences: dict[str, tuple[float, float]] = {}
    for name in candidates():
        with suppress(FacehallError, RuntimeError):  # skip backends that fail on this network
            backend = build(generator, device, name)
            levels, psnr = parity(backend(lr), reference)
            if levels <= MAX_DIFFERENCE and psnr >= MIN_PSNR:
                backends[name], differences[name] = backend, (levels, psnr)
    tasks = {name: partial(backend, lr) for name, backend in backends.items()}
    times = medians(interleaved(tasks, ROUNDS, warmup=0))  # warmed up by the parity check
    best = min(times, key=times.__getitem__)
    levels, psnr = differences[best]
    ratio = times["eager"] / times[best]
    why = f"measured: {ratio:.1f} times as fast as eager, differs from it by at most {levels:.1f}/255"
    return backends[best], best, why if best != "eager" else "measured: no other backend is faster"


def _test_image(side: int) -> Tensor:
    """Return an image (1, 3, side, side) with soft and hard edges, more typical of photographs than noise."""
    random = torch.Generator().manual_seed(0)
    soft = upscale_bicubic(torch.rand(1, 3, side // 8, side // 8, generator=random), 8).clamp(0, 1)
    hard = torch.rand(1, 3, side // 8, side // 8, generator=random).repeat_interleave(8, -1).repeat_interleave(8, -2)
    return torch.where(torch.arange(side) < side // 2, soft, hard)


@torch.inference_mode()
def _seconds_per_pixel(generator: Generator, side: int = 24) -> float:
    lr = _test_image(side)
    generator(lr)
    return min(seconds(partial(generator, lr)) for _ in range(2)) / side**2


def _is_converted(name: str, generator: Generator) -> bool:
    """Return whether a backend needs no conversion, or its conversion is cached."""
    modules = {"onnxruntime": _onnxruntime, "openvino": _openvino, "openvino_bf16": _openvino}
    try:
        return name not in modules or modules[name].path(generator).is_file()
    except ImportError:
        return False


def _key(generator: Generator) -> str:
    """Return the cache key of a benchmark: a hash of architecture, CPU, threads and versions."""
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


def _read_choices(choices: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(choices.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or damaged: the benchmark runs again
        return {}
