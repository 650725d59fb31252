"""The fidelity option: interpolation between the weights of two phases of a run."""

import pytest
import torch
from small import TINY_NETWORK, tiny_generator

from facehall.errors import FacehallError
from facehall.inference import Predictor
from facehall.models.generators import MultiScaleRRDB, SRResNet3
from facehall.models.weights import load_generator, save_generator

NAMES = ("generator_psnr", "generator_ema", "generator", "generator_best")


def run_folder(folder):
    """A run's weights/ with different values in each file."""
    for i, name in enumerate(NAMES):
        generator = tiny_generator()
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(0.1 * i * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
        save_generator(folder / f"{name}.safetensors", generator)
    return folder


def state(path):
    return load_generator(path).state_dict()


@pytest.mark.parametrize(
    ("given", "gan_file"),
    [
        ("generator_ema", "generator_ema"),
        ("generator", "generator"),
        ("generator_best",) * 2,
        ("generator_psnr", "generator_ema"),
    ],
)
@pytest.mark.parametrize("fidelity", [0, 0.25, 1])
def test_weights_are_interpolated(tmp_path, given, gan_file, fidelity):
    folder = run_folder(tmp_path)
    mixed = Predictor(folder / f"{given}.safetensors", "cpu", backend="eager", fidelity=fidelity).generator.state_dict()
    gan, psnr = state(folder / f"{gan_file}.safetensors"), state(folder / "generator_psnr.safetensors")
    for name, value in mixed.items():
        torch.testing.assert_close(value, (1 - fidelity) * gan[name] + fidelity * psnr[name])


def test_names_that_end_in_best_have_their_own_sibling(tmp_path):
    folder = run_folder(tmp_path)
    (folder / "generator.safetensors").rename(folder / "generator_best_psnr.safetensors")
    mixed = Predictor(folder / "generator_best.safetensors", "cpu", backend="eager", fidelity=1).generator
    for name, value in mixed.state_dict().items():
        torch.testing.assert_close(value, state(folder / "generator_best_psnr.safetensors")[name])


def test_integer_buffers_are_not_interpolated(tmp_path):
    for name in ("x", "x_psnr"):
        save_generator(tmp_path / f"{name}.safetensors", SRResNet3(2, 1, 4))
    assert Predictor(tmp_path / "x.safetensors", "cpu", backend="eager", fidelity=0.5).scale == 2


def test_none_uses_the_file_unchanged(tmp_path):
    path = run_folder(tmp_path) / "generator_psnr.safetensors"
    for name, value in Predictor(path, "cpu", backend="eager").generator.state_dict().items():
        assert torch.equal(value, state(path)[name])


@pytest.mark.parametrize(
    ("given", "missing"), [("generator_ema", "generator_psnr"), ("generator_psnr", "generator_ema")]
)
def test_a_missing_sibling_is_reported(tmp_path, given, missing):
    run_folder(tmp_path)
    for name in {*NAMES} - {given}:
        (tmp_path / f"{name}.safetensors").unlink()
    with pytest.raises(FacehallError, match=rf"{given}.safetensors with {missing}.safetensors .*not in the same"):
        Predictor(tmp_path / f"{given}.safetensors", "cpu", backend="eager", fidelity=0.5)


def test_weights_of_the_package_without_a_sibling():
    with pytest.raises(FacehallError, match=r"only one for facehall-x4_faithful.*two \(.*x8_aligned\)"):
        Predictor("facehall-x4_faithful", "cpu", backend="eager", fidelity=0.5)


@pytest.mark.parametrize("named", ["faithful", "../elsewhere/faithful"])
def test_the_metadata_may_name_the_faithful_weights(tmp_path, named):
    torch.manual_seed(0)
    networks = {name: MultiScaleRRDB(2, **TINY_NETWORK) for name in ("sharp", "faithful", "sharp_psnr")}
    for name, network in networks.items():
        origin = {"faithful": named} if name == "sharp" else None
        save_generator(tmp_path / f"{name}.safetensors", network, origin)
    mixed = Predictor(tmp_path / "sharp.safetensors", "cpu", backend="eager", fidelity=1.0).generator
    for name, value in mixed.state_dict().items():
        assert torch.equal(value, networks["faithful"].state_dict()[name])


def test_clean_weights_of_the_package_mix_with_the_faithful_ones():
    mixed = Predictor("facehall-x4_clean", "cpu", backend="eager", fidelity=1.0).generator.state_dict()
    faithful = Predictor("facehall-x4_faithful", "cpu", backend="eager").generator.state_dict()
    assert all(torch.equal(value, faithful[name]) for name, value in mixed.items())


def test_different_networks_are_rejected(tmp_path):
    run_folder(tmp_path)
    save_generator(tmp_path / "generator_psnr.safetensors", MultiScaleRRDB(2, **TINY_NETWORK))
    with pytest.raises(FacehallError, match="hold different networks"):
        Predictor(tmp_path / "generator_ema.safetensors", "cpu", backend="eager", fidelity=0.5)


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, "high", True, float("nan")])
def test_values_out_of_range(tmp_path, fidelity):
    with pytest.raises(FacehallError, match=f"fidelity={fidelity}"):
        Predictor(run_folder(tmp_path) / "generator_ema.safetensors", "cpu", backend="eager", fidelity=fidelity)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(FacehallError, match="no such weights file"):
        Predictor(tmp_path / "w.safetensors", "cpu", backend="eager", fidelity=0.5)
