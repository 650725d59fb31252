"""Config keys of earlier versions are answered with the new ones."""

import pytest
from omegaconf import OmegaConf
from small import error_message, run_command

from facehall.check import main
from facehall.cli import renamed_keys
from facehall.cli.errors import config_error_text
from facehall.cli.overrides import PATH_KEYS, quote_paths
from facehall.cli.renamed_keys import REMOVED, RENAMED, refuse_old_arguments, refuse_old_keys, renamed_group
from facehall.errors import FacehallError


@pytest.fixture
def all_gone(monkeypatch):
    """As if conf/ had none of the old keys."""
    monkeypatch.setattr(renamed_keys, "_known", lambda old: False)


def told(*arguments):
    with pytest.raises(FacehallError) as caught:
        refuse_old_arguments(arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss=esrgan", "'losses=[charbonnier,vgg16s,ragan]'"),
        ("loss=paper", "'losses=[mse,vgg16s,vanilla]'"),
        ("perceptual=lpips", "'losses=[charbonnier,lpips,ragan]'"),
        ("perceptual=none", "losses.perceptual=null"),
        ("loss.gan.adversarial=0.01", "curriculum.gan.weights.adversarial=0.01"),
        ("loss.psnr.pixel=1,2", "curriculum.psnr.weights.pixel=1,2"),
        ("++loss.pixel.eps=1e-3", "++losses.pixel.eps=1e-3"),
        ("perceptual.extractor.weights=a=b", "losses.perceptual.extractor.weights=a=b"),
        ("curriculum.ramp_steps=5", "curriculum.gan.ramp=5"),
        ("curriculum.ramp=cosine", "curriculum.gan.ramp_shape=cosine"),
        ("~scheduler.generator.gan_factor", "'~curriculum.gan.scheduler.generator.factor'"),
    ],
)
def test_old_arguments_name_the_new_ones(all_gone, old, new):
    assert told(old) == f"{old} is now {new}."


def test_all_of_a_command_are_told_at_once(all_gone):
    said = told("experiment=psnr", "curriculum.psnr_steps=2", "-m", "loss=paper,esrgan", "curriculum.gan_steps=3")
    assert said.count(" is now ") == 2
    assert "curriculum.gan.steps=3" in said


@pytest.mark.parametrize(
    "argument", ["experiment=psnr", "curriculum.psnr.steps=1", "losses.pixel.eps=1", "loss=mine", "--cfg", "name=loss"]
)
def test_other_arguments_pass(all_gone, argument):
    refuse_old_arguments([argument])


def test_what_conf_still_has_is_not_old():
    renamed_keys._known.cache_clear()
    assert renamed_keys._known("degradation=photo")
    assert renamed_keys._known("degradation=*")
    assert renamed_keys._known("optimizer.generator.*")
    assert renamed_keys._known("mining.threshold")
    assert not renamed_keys._known("mining.treshold")
    assert not renamed_keys._known("degradation=fog")
    assert not renamed_keys._known("weather=*")
    assert not renamed_keys._known("weather.*")


def test_keys_of_a_config_file(all_gone):
    refuse_old_keys(OmegaConf.create({"curriculum": {"psnr": {"steps": 3}}}))
    with pytest.raises(FacehallError, match=r"A config file sets .* curriculum\.psnr_steps is now curriculum"):
        refuse_old_keys(OmegaConf.create({"curriculum": {"psnr": {"steps": 3}, "psnr_steps": 3}}))


def test_a_removed_key_says_why(all_gone, monkeypatch):
    monkeypatch.setattr(renamed_keys, "REMOVED", {"weather.fog": "it was removed, as it measured nothing."})
    assert told("weather.fog=1") == "weather.fog=1: it was removed, as it measured nothing."


def test_a_group_that_a_config_file_overrides(all_gone):
    assert "loss=paper is now losses=[mse,vgg16s,vanilla]" in renamed_group("loss")
    assert renamed_group("data") == ""
    from hydra.errors import ConfigCompositionException

    error = ConfigCompositionException("In 'experiment/mine': Could not override 'loss'.\nNo match in the defaults.")
    said = config_error_text(error, "train")
    assert said.startswith("In 'experiment/mine': Could not override 'loss'. The group loss no longer exists: ")


def test_the_command_answers_in_a_paragraph(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(renamed_keys, "RENAMED", {"pictures.*": "data.*"})
    assert run_command(main, "+pictures.root=x") == 2
    assert error_message(capsys.readouterr().err) == "\nfacehall: +pictures.root=x is now +data.root=x.\n"


def test_no_entry_is_both():
    assert not set(RENAMED) & set(REMOVED)


def test_paths_of_the_current_keys_are_quoted():
    refuse_old_arguments([f"{key}=a" for key in PATH_KEYS])
    assert quote_paths(["losses.perceptual.weights=a (1)"]) == ["losses.perceptual.weights='a (1)'"]
