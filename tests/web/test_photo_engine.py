"""The page's engine for whole photographs."""

import numpy as np
import pytest
from small import write_weights
from small_page import noise

from facehall.faces.detection import Face as Detected
from facehall.imaging import as_picture
from facehall.inference import photographs
from facehall.web import photo_engine
from facehall.web.engine import Options
from facehall.web.photo_engine import PhotoEngine


def face(left, top, side):
    """A frontal face, as the detector gives it."""
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * side + (left, top)
    return Detected((left, top, left + side, top + side), 0.9, points)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_weights(folder / "net_psnr.safetensors")
    return str(write_weights(folder / "net.safetensors"))


@pytest.fixture
def engine(weights, monkeypatch):
    monkeypatch.setattr(photographs, "detect", lambda network, rgb: [face(20, 20, 32), face(70, 10, 24), face(5, 5, 6)])
    return PhotoEngine(weights, "cpu", "eager", network=lambda image: None, helpers={})


PICTURE = as_picture(np.asarray(noise(112, 72)))


def test_what_it_offers(engine):
    assert engine.weights == "net"
    assert engine.scales == {2: True, 1: True}
    assert list(engine.scales) == [2, 1]


def test_faces_and_those_too_difficult(engine):
    first, second, third = engine.faces(PICTURE)
    assert first.box == (20, 20, 52, 52)
    assert (first.restorable, first.note) == (True, "")
    assert second.restorable
    assert not third.restorable
    assert "too small" in third.note


@pytest.mark.parametrize(("scale", "background"), [(2, True), (2, False), (1, False)])
def test_result_is_the_restorers(engine, weights, scale, background):
    shares = []
    options = Options(scale, 0.5, (1,), background)
    result = engine.restore(PICTURE, options, shares.append)
    rest = "weights" if background else "none" if scale == 1 else "bicubic"
    restorer = photographs.PhotoRestorer(weights, "cpu", "eager", fidelity=0.5, scale=scale, background=rest)
    expected, report = restorer.restore(PICTURE, [face(70, 10, 24)])
    assert len(report.faces) == 1
    np.testing.assert_array_equal(result.rgb, expected.rgb)
    assert shares[-1] == 1 or not shares[-1]
    assert sorted(shares) == shares


@pytest.mark.parametrize(
    ("found", "scale", "background"), [(1, 4, "fast"), (1, 1, "fast"), (1, 8, "weights"), (0, 4, "weights")]
)
def test_beside_faces_a_small_network_enlarges_the_rest(monkeypatch, found, scale, background):
    monkeypatch.setattr(photographs, "detect", lambda network, rgb: [face(20, 20, 32)] * found)
    engine = PhotoEngine(None, "cpu", "eager", network=lambda image: None, helpers={})
    small = as_picture(np.asarray(noise(60, 56)))
    result = engine.restore(small, Options(scale, None, (), background=True), lambda share: None)
    expected = photographs.PhotoRestorer(None, "cpu", "eager", faces="none", scale=scale, background=background)
    np.testing.assert_array_equal(result.rgb, expected.restore(small, [])[0].rgb)


@pytest.mark.parametrize("found", [[face(20, 20, 32)], []])
def test_without_a_choice_the_rest_is_enlarged_where_there_are_no_faces(engine, monkeypatch, found):
    monkeypatch.setattr(photographs, "detect", lambda network, rgb: found)
    undecided, decided = (
        engine.restore(PICTURE, Options(2, 0.5, None, background), lambda share: None)
        for background in (None, not found)
    )
    np.testing.assert_array_equal(undecided.rgb, decided.rgb)


def test_faces_that_drift_are_left_as_by_the_command(weights, engine, monkeypatch):
    asked = []

    def identity(a, b):
        asked.append((a, b))
        return float(len(asked) % 2 == 0)  # restored faces are unlike the input, the bicubic ones are like it

    def result(engine, *faces):
        return engine.restore(PICTURE, Options(2, None, faces, False), lambda share: None).rgb

    monkeypatch.setattr(photo_engine, "load_helpers", lambda: {"identity": identity})  # used without being asked for
    guarded = PhotoEngine(weights, "cpu", "eager", network=lambda image: None)
    np.testing.assert_array_equal(result(guarded, 0), result(engine))
    assert (result(engine, 0) != result(engine)).any()
    assert len(asked) == 6  # the sharp result, the softened one, and the faithful one


def test_faces_are_looked_for_once_a_picture(engine, monkeypatch):
    first = engine.faces(PICTURE)
    monkeypatch.setattr(photographs, "detect", lambda network, rgb: [])
    assert engine.faces(PICTURE) == first
    assert engine.faces(as_picture(np.asarray(noise(72, 112)))) == []
    for i in range(photo_engine.PICTURES):
        engine.faces(as_picture(np.full((8, 8, 3), i, np.uint8)))
    assert engine.faces(PICTURE) == []  # forgotten


def test_no_faces_chosen(engine):
    untouched = engine.restore(PICTURE, Options(1, None, (), False), lambda share: None)
    np.testing.assert_array_equal(untouched.rgb, PICTURE.rgb)
    all_of_them = engine.restore(PICTURE, Options(2, None, None, False), lambda share: None)
    none = engine.restore(PICTURE, Options(2, None, (), False), lambda share: None)
    assert (all_of_them.rgb != none.rgb).any()


def test_work_ends_when_nobody_waits(engine):
    def gone(share):
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        engine.restore(PICTURE, Options(2), gone)
