"""Free memory, memory use of a network, and out-of-memory errors."""

import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from facehall.inference.tiling import memory
from facehall.models.generators import Generator, MultiScaleRRDB

CPU = torch.device("cpu")


class Wide(Generator):
    """A network with at most 64 + 48 channels in memory at once."""

    scale = 2

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 1)

    def forward(self, lr):
        maps = self.conv(lr)
        part = maps[:, :48].clone()
        del maps
        small = part[:, :16] + 1
        del part
        return torch.cat([small[:, :3]] * 4, 1).reshape(1, 3, 2 * lr.shape[-2], 2 * lr.shape[-1])


def test_peak_of_live_tensors():
    assert memory.bytes_per_pixel(Wide().eval()) == memory.WORKSPACE_FACTOR * 4 * (64 + 48)


def test_the_default_network_uses_tens_of_kilobytes_per_pixel():
    assert 4 * 2**10 < memory.bytes_per_pixel(MultiScaleRRDB().eval()) < 40 * 2**10


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "1000", "memory.current": "400", "memory.stat": "anon 5\ninactive_file 100"}, 700),
        ({"memory.max": "1000", "memory.current": "1200"}, 0),
        ({"memory.max": "max", "memory.current": "400"}, None),
        (
            {
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "400",
                "memory/memory.stat": "total_inactive_file 50",
            },
            650,
        ),
        ({}, None),
    ],
)
def test_container_limits_are_respected(tmp_path, files, left):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory._cgroup_left(tmp_path) == left


def test_address_space_limits_are_respected():
    before = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    assert memory.free_memory(CPU) > 2**20
    try:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 2**28, before[1]))
        assert memory.free_memory(CPU) <= 2**28
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_out_of_memory_errors_are_recognised():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(10**15)
    assert memory.is_out_of_memory(refused.value)
    assert memory.is_out_of_memory(MemoryError())
    assert memory.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"))
    assert not memory.is_out_of_memory(RuntimeError("sizes of tensors must match"))
