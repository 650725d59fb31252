"""Performance settings chosen for a machine; each can be overridden."""

import os

import pytest
import torch

from facehall.errors import FacehallError
from facehall.training import performance


def test_bfloat16_if_the_processor_supports_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    for supported, precision in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=supported: answer, raising=False)
        choice = performance.choose_precision("auto", "cpu")
        assert choice.value == precision
        assert "bfloat16" in choice.reason
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert performance.choose_precision("auto", "cpu").value == "32-true"  # a torch without the function
    assert performance.choose_precision("auto", "mps").value == "32-true"


def test_explicit_settings_are_kept():
    assert performance.choose_precision("64-true", "cpu").value == "64-true"
    assert performance.choose_memory_format("contiguous", "cpu").value == "contiguous"
    assert performance.choose_fused(False, "cpu").value is False
    assert performance.choose_memory_format("auto", "cpu").value == "channels_last"
    assert performance.choose_memory_format("auto", "mps").value == "contiguous"
    assert performance.choose_fused("auto", "cpu").value is True
    assert performance.choose_fused("auto", "mps").value is False


def test_invalid_settings_are_rejected():
    with pytest.raises(FacehallError, match=r"runtime\.memory_format=rows"):
        performance.choose_memory_format("rows", "cpu")
    with pytest.raises(FacehallError, match=r"runtime\.fused=yes"):
        performance.choose_fused("yes", "cpu")
    with pytest.raises(FacehallError, match=r"runtime\.threads=0"):
        performance.choose_threads(0)


def test_steps_take_the_memory_of_the_last_one(monkeypatch):
    monkeypatch.setattr(performance, "keep_freed_memory", lambda: True)
    assert performance.choose_keep_memory("auto", "cpu").value is True
    assert performance.choose_keep_memory("auto", "cuda").value is False
    assert performance.choose_keep_memory(False, "cpu").value is False
    monkeypatch.setattr(performance, "keep_freed_memory", lambda: False)
    assert performance.choose_keep_memory("auto", "cpu").value is False
    with pytest.raises(FacehallError, match=r"runtime\.keep_memory=true needs Linux with glibc"):
        performance.choose_keep_memory(True, "cpu")
    with pytest.raises(FacehallError, match=r"runtime\.keep_memory=yes"):
        performance.choose_keep_memory("yes", "cpu")


def test_data_threads():
    assert performance.choose_data_threads(1, "cuda").value == 1
    assert performance.choose_data_threads(2, "cpu").value == 2
    with pytest.raises(FacehallError, match=r"runtime\.data_threads=0: give at least 1"):
        performance.choose_data_threads(0, "cpu")
    with pytest.raises(FacehallError, match=r"runtime\.data_threads=2 is for trainings on the CPU, not on cuda"):
        performance.choose_data_threads(2, "cuda")


def test_threads(monkeypatch):
    before = torch.get_num_threads()
    try:
        assert performance.choose_threads(3).value == torch.get_num_threads() == 3
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)  # one core available
        assert performance.choose_threads(None).value == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_device_type_of_an_accelerator(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [performance.device_type(name) for name in ("auto", "gpu", "cuda", "cpu")] == ["cuda", "cuda", "cuda", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [performance.device_type(name) for name in ("auto", "cpu")] == ["cpu", "cpu"]
    assert performance.device_type("gpu") == "cuda"  # Lightning will report that there is none
