"""Tiling: the result equals that of the whole picture for any sizes, and tiles shrink if memory runs out."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import tiny_generator

from facehall.data import SampleSource
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, to_tensor
from facehall.inference.tiling.receptive_field import effective_radius, overlap, receptive_radius
from facehall.inference.tiling.tiler import MIN_TILE, Tiler, TileTooLargeError
from facehall.inference.tiling.tiles import grid
from facehall.models.generators import MultiScaleRRDB, MultiScaleUNet, RRDBNet, SRResNet3

CPU = torch.device("cpu")
TINY = tiny_generator(2)
SIDES = st.integers(1, 64)


def whole(generator, lr):
    with torch.no_grad():
        return generator(lr[None])[0].clamp(0, 1)


@cache
def context(generator):
    return overlap(generator, CPU)


def tiled(generator, lr, tile, network=None):
    tiler = Tiler(generator, network or generator, CPU, tile)
    tiler.overlap = context(generator)
    height, width = lr.shape[-2:]
    sr = torch.full((3, height * generator.scale, width * generator.scale), torch.nan)
    s = generator.scale
    for top, bottom, left, right, part in tiler.tiles(height, width, lambda rows, columns: lr[None, :, rows, columns]):
        sr[:, top * s : bottom * s, left * s : right * s] = part
    return sr


@pytest.fixture(scope="module")
def deep():
    """Four RRDBs with large weights, whose effective receptive field is far smaller than the theoretical one."""
    torch.manual_seed(0)
    generator = MultiScaleRRDB(4, features=8, growth=4, stage_features=8, stage_growth=4, carry=2)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if "rdb" in name and name.endswith("weight"):
                parameter.mul_(10)  # full He initialisation; the trunk's default is a tenth of it
        for stage in generator.stages:
            torch.nn.init.normal_(stage.head.weight, std=0.05)
    return generator.eval()


@given(height=SIDES, width=SIDES, tile=st.integers(8, 64))
@settings(max_examples=50, deadline=None)
def test_tiled_equals_whole(height, width, tile):
    lr = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))
    torch.testing.assert_close(tiled(TINY, lr, tile), whole(TINY, lr), atol=1e-5, rtol=0)


@given(height=SIDES, width=SIDES, tile=st.integers(8, 48), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_tiled_equals_whole_for_a_deep_network_with_less_context(deep, height, width, tile, seed):
    photograph = to_tensor(read_rgb(SampleSource().split("train")[seed % 8].hr))
    top, left = seed, 2 * seed
    lr = photograph[:, top : top + height, left : left + width]
    torch.testing.assert_close(tiled(deep, lr, tile), whole(deep, lr), atol=1 / 255, rtol=0)


@pytest.fixture(scope="module")
def strided():
    """A network that divides its input into cells of four pixels."""
    torch.manual_seed(0)
    generator = MultiScaleUNet(4, features=[4, 6, 8], blocks=[1, 1, 1], stage_features=4, gate=4)
    for head in generator.heads:
        torch.nn.init.normal_(head.weight, std=0.1)
    torch.nn.init.normal_(generator.gate.gain.weight)
    return generator.eval()


@given(height=SIDES, width=SIDES, tile=st.integers(8, 64))
@settings(max_examples=25, deadline=None)
def test_tiled_equals_whole_for_a_network_with_strides(strided, height, width, tile):
    lr = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))
    torch.testing.assert_close(tiled(strided, lr, tile), whole(strided, lr), atol=1 / 255, rtol=0)


def test_tiles_of_a_network_with_strides_begin_where_its_cells_do(strided):
    lr = torch.rand(3, 64, 512, generator=torch.Generator().manual_seed(0))
    read = []

    def part(rows, columns):
        read.extend((rows.start, columns.start))
        return lr[None, :, rows, columns]

    list(Tiler(strided, strided, CPU, 13).tiles(64, 512, part))
    assert len(set(read)) > 2
    assert not any(start % 4 for start in read)


def test_the_receptive_radius_holds_for_every_place_in_a_cell(strided):
    lr = torch.rand(1, 3, 120, 200, dtype=torch.float64)
    network, radius = strided.double(), receptive_radius(strided)
    found = []
    for place in range(96, 100):
        changed = lr.clone()
        changed[..., place] += 1e6  # what is far away sees little of it
        with torch.no_grad():
            seen = (network(changed) != network(lr)).any(dim=-2).any(dim=1)[0].reshape(-1, 4).any(dim=1).nonzero()
        found.append(max(place - int(seen.min()), int(seen.max()) - place))
    strided.float()
    assert max(found) == radius
    assert len(set(found)) > 1


def test_a_deep_networks_overlap_is_less_than_its_receptive_radius(deep):
    assert receptive_radius(deep) == 66
    assert 0 < context(deep) < 66


def test_without_context_there_are_seams(deep):
    lr = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
    tiler = Tiler(deep, deep, CPU, 24)
    tiler.overlap = 0
    part = next(tiler.tiles(48, 48, lambda rows, columns: lr[None, :, rows, columns]))
    assert (part.sr - whole(deep, lr)[:, : 4 * part.bottom, : 4 * part.right]).abs().max() > 4 / 255


def expected_radius(generator):
    """Compute the radius by tracing each output phase back through convolutions and upsampling layers."""
    convs = {
        MultiScaleRRDB: lambda a: [1, *[1] * (a["blocks"] * a["dense_blocks"] * (a["convs"] + 1)), 1],
        RRDBNet: lambda a: [1, *[1] * (a["blocks"] * 3 * 5), 1],
        SRResNet3: lambda a: [1, *[1] * (3 * a["blocks"])],
    }[type(generator)](generator.arguments)
    layers = [("conv", radius) for radius in convs]
    if isinstance(generator, MultiScaleRRDB):
        for i, factor in enumerate(generator.factors):
            layers += [("conv", 1), ("up", factor), *[("conv", 1)] * 3]
            layers += [("conv", 1)] if i == len(generator.factors) - 1 else []
    elif isinstance(generator, RRDBNet):
        layers += [("up", 2), ("conv", 1), ("up", 2), ("conv", 1), ("conv", 1), ("conv", 1)]
    else:
        layers += [("conv", 1), ("up", 2)] * int(np.log2(generator.scale)) + [("conv", 1)]
    farthest = 0
    for phase in range(generator.scale):
        first = last = 100 * generator.scale + phase
        for kind, number in reversed(layers):
            first, last = (first - number, last + number) if kind == "conv" else (first // number, last // number)
        farthest = max(farthest, 100 - first, last - 100)
    return farthest


@pytest.mark.parametrize(
    "generator",
    [
        MultiScaleRRDB(4, features=4, growth=2, stage_features=4, stage_growth=2, carry=2),
        MultiScaleRRDB(8, blocks=1, features=4, growth=2, stage_features=4, stage_growth=2, carry=2),
        MultiScaleRRDB(3, blocks=2, dense_blocks=2, features=4, growth=2, stage_features=4, stage_growth=2, carry=2),
        RRDBNet(3, 4, 2),
        SRResNet3(4, blocks=3, features=4),
        SRResNet3(2, blocks=1, features=4),
    ],
    ids=lambda generator: f"{type(generator).__name__}x{generator.scale}",
)
def test_the_receptive_radius_matches_the_architecture(generator):
    assert receptive_radius(generator.eval()) == expected_radius(generator)


def test_the_effective_radius_covers_each_side():
    """A network that depends on pixels in one direction only, 20 pixels away."""
    for turns in range(4):

        def shifted(lr, turns=turns):
            turned = torch.rot90(lr, turns, (-2, -1))
            far = torch.nn.functional.pad(turned, (0, 0, 20, 0))[..., : turned.shape[-2], :]
            return torch.rot90(far, -turns, (-2, -1))

        assert effective_radius(shifted, 1, CPU, 1000) == 20


@given(height=st.integers(1, 400), width=st.integers(1, 400), tile=st.integers(1, 90), margin=st.integers(0, 70))
@settings(max_examples=200, deadline=None)
def test_a_grid_covers_the_picture_once_with_equal_tiles(height, width, tile, margin):
    cut = grid(height, width, tile, margin)
    for length, spans in ((height, cut.rows), (width, cut.columns)):
        assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
        assert spans[-1].stop == length
        assert len({span.outer.stop - span.outer.start for span in spans}) == 1
        for span in spans:
            assert max(0, span.outer.start) <= max(0, span.start - margin) <= span.start < span.stop
            assert min(length, span.stop + margin) <= span.outer.stop <= length
    rows, columns = cut.rows[0].outer, cut.columns[0].outer
    assert rows.stop * columns.stop <= (tile + 2 * margin) ** 2


def limited(max_pixels, calls=None):
    """The tiny network, which really runs out of memory beyond this many pixels."""

    def network(lr):
        if lr.shape[-2] * lr.shape[-1] > max_pixels:
            torch.empty(10**15)
        if calls is not None:
            calls.append(lr.shape[-2] * lr.shape[-1])
        with torch.no_grad():
            return TINY(lr)

    return network


@pytest.mark.parametrize("tile", ["auto", 64])
def test_the_tile_is_halved_with_a_warning_if_memory_runs_out(caplog, tile):
    lr = torch.rand(3, 70, 60)
    calls = []
    sr = tiled(TINY, lr, tile, limited(1700, calls))
    torch.testing.assert_close(sr, whole(TINY, lr), atol=1e-5, rtol=0)
    assert "too little memory for tiles of" in caplog.text
    assert "continuing with" in caplog.text
    assert len(calls) > 3


def test_finished_rows_are_kept_if_memory_runs_out_midway():
    lr = torch.rand(3, 80, 30)
    calls = []

    def network(part):
        calls.append(tuple(part.shape[-2:]))
        if len(calls) == 3:
            torch.empty(10**15)
        with torch.no_grad():
            return TINY(part)

    tiler = Tiler(TINY, network, CPU, 24)
    tiler.overlap = 8
    parts = list(tiler.tiles(80, 30, lambda rows, columns: lr[None, :, rows, columns]))
    assert all(part.left == 0 and part.right == 30 for part in parts)  # full rows: none is computed twice
    edges = [0, *(part.bottom for part in parts)]
    assert [part.top for part in parts] == edges[:-1]
    assert edges[-1] == 80
    torch.testing.assert_close(torch.cat([part.sr for part in parts], 1), whole(TINY, lr), atol=1e-5, rtol=0)


def test_no_tile_fits():
    with pytest.raises(TileTooLargeError, match=rf"even for tiles of (\d|1[0-{2 * MIN_TILE - 11}]) pixels"):
        tiled(TINY, torch.rand(3, 40, 40), "auto", limited(0))


def test_other_errors_are_not_treated_as_out_of_memory():
    def broken(lr):
        raise RuntimeError("sizes do not fit")

    with pytest.raises(RuntimeError, match="sizes do not fit"):
        tiled(TINY, torch.rand(3, 4, 4), "auto", broken)


@pytest.mark.parametrize("tile", [0, -1, "abc", True, 1.5])
def test_invalid_tiles(tile):
    with pytest.raises(FacehallError, match=f"tile={tile}"):
        Tiler(TINY, TINY, CPU, tile)
