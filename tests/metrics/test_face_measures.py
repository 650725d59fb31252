"""Measures of faces: identity, rank-1, verification and landmark error, on stand-ins and on photographs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from facehall.assets import WeightsNotFoundError
from facehall.errors import FacehallError
from facehall.evaluation.results import ImageResult, SetResult
from facehall.faces.mesh import Mesh
from facehall.faces.recognition import RECOGNISERS, Kind
from facehall.imaging import read_picture, to_tensor
from facehall.metrics import Protocol, bicubic_sr, make_lr
from facehall.metrics import faces as shared
from facehall.metrics.build import build_protocol
from facehall.metrics.judges import identity, landmarks, parts
from facehall.metrics.pairs import VerificationPairs

SHARED = os.environ.get("FACEHALL_SHARED")
SIDE = 16


class Colours(torch.nn.Module):
    """An embedding that is the mean colour."""

    def forward(self, chips):
        return chips.mean((2, 3))


@pytest.fixture
def stand_ins(monkeypatch):
    """A mesh that finds a face unless a picture is black, moved by its red level, and an embedding of colours."""
    points = np.random.default_rng(0).uniform(4, 12, (468, 3)).astype(np.float32)

    def mesh_of(image, square=None, passes=2):
        shift = 2 * float(image[0].mean()) if square is not None else 0.0
        return Mesh(points + np.array([shift, 0, 0], np.float32), float(image.max() > 0))

    five = ((4.0, 4), (8, 4), (6, 6), (4, 8), (8, 8))
    monkeypatch.setitem(RECOGNISERS, "colours", Kind(lambda weights: Colours(), 3, 8, five, "distance", 0.9))
    for module in (identity, landmarks):
        monkeypatch.setattr(module, "mesh_of", mesh_of)
        monkeypatch.setattr(module, "require_mesh", lambda: None)
    shared.shared_recogniser.cache_clear()
    return points


def plain(*colours):
    """Images of one colour each, of 8-bit levels."""
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, SIDE, SIDE) / 255.0


HR = ((100.0, 0, 0), (0, 100, 0), (0, 0, 100), (0, 0, 0))
SR = ((90.0, 0, 0), (0, 0, 90), (0, 0, 80), (10, 10, 10))
"""The second person is taken for the third; the last picture has no face."""


def test_identity_is_the_mean_similarity_of_pictures_with_a_face(stand_ins):
    protocol = Protocol(2, [identity.Identity("colours")])
    values = protocol.statistics(plain(*SR), plain(*HR))["identity"]
    wanted = [1 - 10 / 255, 1 - (100**2 + 90**2) ** 0.5 / 255, 1 - 20 / 255]
    assert values[:3, 0].tolist() == pytest.approx(wanted, abs=1e-5)
    assert values[3].tolist() == [0, 0]
    found = protocol.of_set({"identity": values})["identity"]
    assert float(found) == pytest.approx(np.mean(wanted), abs=1e-5)
    assert "1 - distance" in protocol.description


def test_rank_one_compares_with_all_pictures_of_the_set(stand_ins):
    protocol = Protocol(2, [identity.RankOne("colours")])
    assert protocol.pooled == {"rank1"}
    values = protocol.statistics(plain(*SR), plain(*HR))
    assert values["rank1"].shape == (4, protocol.statistic_counts["rank1"])
    assert float(protocol.of_set(values)["rank1"]) == pytest.approx(200 / 3)
    assert protocol.figures(values)["rank1"].isnan().all()  # one picture has no rank
    assert protocol.of_set({"rank1": values["rank1"][3:]})["rank1"].isnan()


def test_verification_at_a_threshold_with_and_without_pairs(stand_ins, tmp_path):
    names = ["a", "folder/b", "c", "d"]
    protocol = Protocol(2, [identity.Verification("colours")])
    values = protocol.statistics(plain(*SR), plain(*HR), name=names)
    assert float(protocol.of_set(values)["verification"]) == pytest.approx(200 / 3)
    file = tmp_path / "pairs.csv"
    file.write_text("fold,same,a,b\n0,1,b.png,c.png\n0,0,a.png,b.png\n0,1,a.png,d.png\n")
    judges = [identity.Verification("colours", pairs=file), identity.VerificationAUC(file, "colours")]
    protocol = Protocol(2, judges)
    values = protocol.statistics(plain(*SR), plain(*HR), name=names)
    # SR of b with HR of c is accepted, SR of c with HR of b is not; d has no face.
    assert float(protocol.of_set(values)["verification"]) == pytest.approx(50)
    # Genuine .96 and .50; impostors a-b and b-a: .48 and .47.
    assert float(protocol.of_set(values)["verification_auc"]) == 100
    with pytest.raises(FacehallError, match=r"pairs\.csv do not name the picture other"):
        protocol.statistics(plain(*SR[:1]), plain(*HR[:1]), name=["other"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\nx,y\n", "line 2: expected the columns same"),
        ("same,a,b\n2,x,y\n", "line 2: expected the columns same"),
        ("same,a,b\n0,x,y\n", "name no pair of the same person"),
        (None, "cannot be read"),
    ],
)
def test_files_of_pairs_are_checked(tmp_path, text, message):
    if text is not None:
        (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(FacehallError, match=rf"pairs\.csv.*{message}"):
        VerificationPairs.read(tmp_path / "pairs.csv")


def test_landmark_error_is_relative_to_the_eyes(stand_ins):
    protocol = Protocol(2, [landmarks.LandmarkError()])
    values = protocol.statistics(plain((127.5, 0, 0), (0, 0, 0)), plain((9, 9, 9), (0, 0, 0)))
    distance = Mesh(stand_ins, 1.0).eye_distance
    shift = 2 * round(127.5) / 255
    assert float(protocol.of_set(values)["nme"]) == pytest.approx(100 * shift / distance, rel=0.01)


def test_psnr_inside_the_features_alone():
    """Wrong by 51 levels in half of the eyes of the first picture, by 25.5 everywhere else; the second has no face."""
    hr = torch.zeros(2, 3, SIDE, SIDE)
    labels = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    labels[0, 4:6] = 3
    labels[0, 8:10] = 1  # skin
    sr = torch.full_like(hr, 25.5 / 255)
    sr[0, :, 4] = 51 / 255
    sr[0, :, 5] = 0
    protocol = Protocol(2, [parts.PartsPSNR()])
    values = protocol.statistics(sr, hr, parsing=labels)
    wanted = -10 * np.log10(0.2**2 / 2)
    assert float(protocol.figures(values)["psnr_parts"][0]) == pytest.approx(wanted)
    assert protocol.figures(values)["psnr_parts"][1].isnan()
    assert float(protocol.of_set(values)["psnr_parts"]) == pytest.approx(wanted)
    skin = Protocol(2, [parts.PartsPSNR([1])]).measure(sr, hr, parsing=labels)["psnr_parts"]
    assert float(skin[0]) == pytest.approx(-10 * np.log10((26 / 255) ** 2))  # rounded to 8 bits, half to even
    with pytest.raises(FacehallError, match=r"psnr_parts: the parsing maps are .*data\.annotations"):
        protocol.statistics(sr, hr, parsing=labels[:, ::2])
    with pytest.raises(FacehallError, match="psnr_parts needs 'parsing'"):
        protocol.statistics(sr, hr)


def test_a_set_of_images_pools_their_statistics(stand_ins):
    """As in evaluate and compare: image by image, with a table of all."""

    class Fixed:
        name = "fixed"

        def __init__(self, images):
            self.images = iter(images)

        def upscale(self, lr):
            return next(self.images)

    protocol = Protocol(2, [identity.RankOne("colours"), identity.Identity("colours")])
    system = Fixed(plain(*SR))
    items = [{"lr": hr[:, ::2, ::2], "hr": hr, "name": str(i)} for i, hr in enumerate(plain(*HR))]
    images = [ImageResult.measure(item, [system], protocol, torch.device("cpu"), keep_pictures=False) for item in items]
    means = SetResult("set", images).means("fixed", protocol)
    assert means["rank1"] == pytest.approx(200 / 3)
    assert means["identity"] == pytest.approx(1 - (10 + (100**2 + 90**2) ** 0.5 + 20) / 3 / 255, abs=1e-5)


def test_unknown_networks_are_named(monkeypatch):
    monkeypatch.setattr(identity, "require_mesh", lambda: None)
    with pytest.raises(FacehallError, match="Unknown recognition network 'arcface'"):
        build_protocol(4, [{"identity": {"network": "arcface"}}])


def test_real_faces():
    """Three London faces from 16 and from 32 pixels: less is worse in every measure."""
    if not SHARED:
        pytest.skip("FACEHALL_SHARED does not name the folder with the London faces")
    try:
        protocol = build_protocol(4, ["identity", "rank1", "verification", "nme"])
    except WeightsNotFoundError as error:
        pytest.skip(f"the networks are not on this machine and cannot be fetched: {error}")
    paths = sorted(Path(SHARED).glob("data/faces/test/london512/*_03.*"))[:3]
    hr = torch.stack([make_lr(to_tensor(read_picture(path).rgb), 4) for path in paths])
    found = {}
    for factor in (4, 8):
        sr = bicubic_sr(make_lr(hr, factor), factor)
        found[factor] = protocol.of_set(protocol.statistics(sr, hr, name=["a", "b", "c"]))
    assert found[4]["identity"] > found[8]["identity"] + 0.1
    assert found[4]["nme"] < 0.7 * found[8]["nme"]
    assert 1 < found[4]["nme"] < 6
    assert found[4]["rank1"] == 100
    same = protocol.of_set(protocol.statistics(hr, hr, name=["a", "b", "c"]))
    assert same["verification"] == 100
    assert same["identity"] == pytest.approx(1, abs=1e-3)
    assert same["nme"] < 2
