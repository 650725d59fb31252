"""Systems: the `Upscaler` interface for all kinds of systems, and the catalogue's entries."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import tiny_generator, write_weights

from facehall.config.build import conf_dir
from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.imaging.colour import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from facehall.inference import Predictor
from facehall.inference.upscalers import labels, open_upscalers
from facehall.metrics.judges import JUDGES
from facehall.models.generators import Generator
from facehall.models.pretrained import bundled_names
from facehall.models.published import published_names
from facehall.models.weights import save_generator
from facehall.systems import Bicubic, Upscaler, as_rgb, load_catalogue

OPTIONS = {"device": "cpu", "backend": "eager"}


class Luma(Generator):
    """Adds a constant to its input and records the input's shape."""

    scale = 2
    input = "bicubic"
    colour = "y"
    arguments: dict = {}  # noqa: RUF012

    def forward(self, x):
        self.seen = tuple(x.shape)
        return x + 0.01


class Enlarging(Luma):
    input = "lr"

    def forward(self, x):
        return upscale_bicubic(super().forward(x), 2)


class EnlargedRGB(Luma):
    colour = "rgb"


class Convolution(Luma):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 1, 5, padding=2)

    def forward(self, x):
        return x + 0.1 * self.conv(x)


@settings(max_examples=20)
@given(seed=st.integers(0, 99))
def test_ycbcr_and_back(seed):
    rgb = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    ycc = rgb_to_ycbcr(rgb)
    assert torch.equal(ycc[:, :1], rgb_to_y(rgb))
    torch.testing.assert_close(ycbcr_to_rgb(ycc), rgb, atol=2e-6, rtol=0)
    grey = rgb[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(rgb_to_ycbcr(grey)[:, 1:], torch.full((2, 2, 5, 7), 128 / 255), atol=1e-6, rtol=0)


def test_matlab_colours():
    """`rgb2ycbcr` of pure red, green and blue."""
    primaries = torch.eye(3).view(1, 3, 1, 3)
    expected = torch.tensor([[81.481, 90.203, 240.0], [144.553, 53.797, 34.214], [40.966, 240.0, 109.786]])
    torch.testing.assert_close(255 * rgb_to_ycbcr(primaries)[0, :, 0].T, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("kind", "seen"), [(Luma, (1, 1, 12, 16)), (Enlarging, (1, 1, 6, 8)), (EnlargedRGB, (1, 3, 12, 16))]
)
def test_a_network_gets_the_input_it_declares(kind, seen):
    network, lr = kind(), torch.rand(1, 3, 6, 8)
    sr = as_rgb(network)(lr)
    assert network.seen == seen
    luma_only = network.colour == "y"
    ycc = rgb_to_ycbcr(upscale_bicubic(lr, 2))
    if luma_only:
        ycc[:, :1] += 0.01
    expected = ycbcr_to_rgb(ycc) if luma_only else upscale_bicubic(lr, 2) + 0.01
    torch.testing.assert_close(sr, expected, atol=1e-5, rtol=0)


def test_an_rgb_network_is_not_wrapped():
    generator = tiny_generator()
    assert as_rgb(generator) is generator


def test_an_unknown_declaration_is_named():
    class Odd(Luma):
        colour = "cmyk"

    with pytest.raises(FacehallError, match=r"Odd\.colour is 'cmyk'; it must be rgb or y"):
        as_rgb(Odd())


def test_a_luma_network_predicts_whole_images_and_tiles_alike(tmp_path, monkeypatch):
    network = Convolution().eval()
    monkeypatch.setattr("facehall.inference.predictor.load_generator", lambda file: network)
    lr = torch.rand(3, 40, 33, generator=torch.Generator().manual_seed(0))
    whole = Predictor(tmp_path / "w.safetensors", "cpu", "eager").super_resolve(lr)
    assert whole.shape == (3, 80, 66)
    tiled = Predictor(tmp_path / "w.safetensors", "cpu", "eager", tile=16).super_resolve(lr)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_bicubic_comes_first_and_all_have_one_scale(tmp_path):
    a, b, x4 = (
        write_weights(tmp_path / f"{name}.safetensors", scale) for name, scale in (("a", 2), ("b", 2), ("c", 4))
    )
    found = open_upscalers({"a": str(a), "b": str(b)}, **OPTIONS)
    assert [(each.name, each.scale) for each in found] == [("bicubic", 2), ("a", 2), ("b", 2)]
    assert all(isinstance(each, Upscaler) for each in found)
    lr = torch.rand(3, 9, 7)
    assert torch.equal(found[0].upscale(lr), upscale_bicubic(lr, 2))
    assert torch.equal(found[1].upscale(lr), Predictor(a, **OPTIONS).super_resolve(lr))
    with pytest.raises(FacehallError, match=r"a\.safetensors is a x2 network, but .*c\.safetensors is a x4"):
        open_upscalers({"a": str(a), "c": str(x4)}, **OPTIONS)
    with pytest.raises(FacehallError, match="bicubic alone has no scale"):
        open_upscalers({"bicubic": "bicubic"}, **OPTIONS)
    (alone,) = open_upscalers({"floor": "bicubic"}, 3, **OPTIONS)
    assert isinstance(alone, Bicubic)
    assert (alone.name, alone.scale) == ("floor", 3)


def test_training_losses_of_a_system_are_known(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(path, tiny_generator(), {"losses": "lpips,dists"})
    assert open_upscalers({"w": str(path)}, **OPTIONS)[1].trained_on == ("lpips", "dists")
    assert open_upscalers({"ours": "facehall-x4"}, **OPTIONS)[1].trained_on == ("lpips",)


def test_labels_are_the_shortest_unique_ones():
    runs = ["runs/a/weights/generator_ema.safetensors", "runs/b/weights/generator_ema.safetensors", "facehall-x4"]
    assert list(labels(runs)) == ["a/weights/generator_ema", "b/weights/generator_ema", "facehall-x4"]
    assert labels(["x/a.safetensors", "x/b.pth"]) == {"a": "x/a.safetensors", "b": "x/b.pth"}
    with pytest.raises(FacehallError, match="is given twice"):
        labels(["a", "a"])


@pytest.mark.parametrize("name", load_catalogue())
def test_catalogue_entries_exist(name):
    system = load_catalogue()[name]
    assert (name in bundled_names()) == (system.weights == name)
    assert system.weights in (name, None)
    assert system.recipe is None or (conf_dir() / "experiment" / f"{system.recipe}.yaml").is_file()
    assert system.starts_from in (*load_catalogue(), None)
    assert system.published_weights in (*published_names(), None)
    assert {*system.trained_on} <= {*JUDGES}
    assert all(figure.scale in system.scales for figure in system.published)
    if system.kind == "network" and system.weights is None and system.package is None:
        with pytest.raises(FacehallError, match=f"systems: {name} requires a weights file: "):
            open_upscalers({name: name}, **OPTIONS)


def test_all_bundled_weights_are_in_the_catalogue():
    assert {*bundled_names()} <= {*load_catalogue()}
