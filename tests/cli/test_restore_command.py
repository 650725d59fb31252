"""`facehall restore` and `python -m facehall.restore`: files to files; white squares stand in for faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import run_command, write_weights
from squares import find_squares, with_squares

from facehall import restore as door
from facehall.cli.main import main
from facehall.imaging import read_picture, read_rgb, write_picture
from facehall.inference import photographs

SETTINGS = ("--weights", "w.safetensors", "--scale", "2", "--no-checked", "--device", "cpu")
SQUARES = ((40, 30, 24), (110, 60, 40), (10, 90, 18))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with weights and two photographs; the detector finds white squares."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEHALL_LOG", "info")
    monkeypatch.setattr(photographs, "CenterFace", lambda: find_squares)
    write_weights(tmp_path / "w.safetensors")
    write_picture("people.png", with_squares(120, 170, *SQUARES))
    write_picture("empty.png", with_squares(50, 60))
    return tmp_path


def restore(*arguments):
    try:
        return main(["restore", *map(str, arguments), *SETTINGS])
    except SystemExit as end:
        return end.code


def test_a_photograph_is_written_beside_its_input(capsys):
    assert restore("people.png", "empty.png", "--report", "report.json", "--draw") == 0
    out = capsys.readouterr().out
    assert "people.png: 3 faces found, 3 restored" in out
    assert "empty.png: no face found" in out
    assert read_rgb("people_restored.png").shape == (240, 340, 3)
    assert read_rgb("people_restored.faces.png").shape == (120, 170, 3)
    photos = json.loads(Path("report.json").read_text())["photos"]
    assert [len(photo["faces"]) for photo in photos] == [3, 0]
    face = photos[0]["faces"][0]
    assert face["box"] == pytest.approx([110, 60, 150, 100], abs=1.5)
    assert face["action"] == "restored"
    assert {"points", "score", "lr_difference_levels", "crop_side", "to_crop"} <= set(face)


def test_existing_results_are_kept(capsys):
    assert restore("people.png") == 0
    before = read_rgb("people_restored.png")
    assert restore("people.png") == 2
    assert "already exists" in capsys.readouterr().err
    assert restore("people.png", "--skip-existing") == 0
    assert "1 skipped" in capsys.readouterr().out
    assert restore("people.png", "--overwrite", "--faces", "none") == 0
    assert not np.array_equal(read_rgb("people_restored.png"), before)


def test_faces_are_written_edited_and_pasted(capsys):
    assert restore("people.png", "-o", "direct.png") == 0
    assert restore("people.png", "--faces-only", "faces") == 0
    assert sorted(path.name for path in Path("faces").iterdir()) == [
        "people.png.face01.png",
        "people.png.face02.png",
        "people.png.face03.png",
        "people.png.faces.json",
    ]
    assert restore("people.png", "--paste", "faces", "-o", "pasted.png") == 0
    direct, pasted = read_rgb("direct.png").astype(int), read_rgb("pasted.png").astype(int)
    assert np.abs(direct - pasted).max() <= 3  # rounded to files in between

    edited = Path("faces/people.png.face01.png")
    side = Image.open(edited).width
    Image.effect_noise((side + 30, side + 30), 60).convert("RGB").save(edited)  # another size, as other tools have
    Path("faces/people.png.face02.png").unlink()
    assert restore("people.png", "--paste", "faces", "-o", "edited.png") == 0
    assert "(2: people.png.face02.png was removed)" in capsys.readouterr().out
    assert np.abs(read_rgb("edited.png").astype(int) - pasted).max() > 30


def test_an_index_that_does_not_fit_is_named(capsys):
    assert restore("people.png", "--paste", "nowhere") == 2
    assert "Write it and the faces first: facehall restore people.png --faces-only nowhere" in capsys.readouterr().err
    assert restore("people.png", "--faces-only", "faces") == 0
    write_picture("people.png", with_squares(60, 60))
    assert restore("people.png", "--paste", "faces") == 2
    assert "is for a picture of 170x120 pixels, but people.png has 60x60" in capsys.readouterr().err
    for damage in ("{", "[]", '{"width": 60, "height": 60, "faces": [{}]}', '{"width": 60, "height": 60, "faces": 3}'):
        Path("faces/people.png.faces.json").write_text(damage)
        assert restore("people.png", "--paste", "faces") == 2
        assert "is not an index of faces" in capsys.readouterr().err


def test_one_bad_photograph_does_not_stop_the_others(capsys):
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert restore("broken.jpg", "empty.png", "--report", "r.json") == 2
    captured = capsys.readouterr()
    assert "1 of 2 pictures failed" in captured.err
    assert "broken.jpg" in captured.err
    assert read_rgb("empty_restored.png").shape == (100, 120, 3)
    assert len(json.loads(Path("r.json").read_text())["photos"]) == 1


@pytest.mark.parametrize(
    ("name", "image", "mode"),
    [
        ("grey.png", Image.effect_noise((40, 30), 50), "L"),
        ("alpha.png", Image.new("RGBA", (40, 30), (10, 200, 30, 90)), "RGBA"),
        ("pixel.png", Image.new("RGB", (1, 1)), "RGB"),
        ("palette.gif", Image.new("P", (40, 30)), "RGB"),
        ("line.webp", Image.new("RGB", (200, 1)), "RGB"),
    ],
)
def test_odd_pictures(name, image, mode):
    image.save(name)
    assert restore(name, "-o", "out/") == 0
    (written,) = Path("out").iterdir()
    result = Image.open(written)
    assert result.mode == mode
    assert result.size == (2 * image.width, 2 * image.height)


def test_sixteen_bits_stay():
    deep = with_squares(50, 60, (15, 15, 20)).astype(np.uint16) * 257
    write_picture("deep.png", deep)
    assert restore("deep.png", "-o", "out.png") == 0
    assert read_picture("out.png").rgb.dtype == np.uint16


def test_mistakes_are_one_paragraph(capsys):
    for arguments, message in (
        (("people.png", "--faces", "some"), "faces=some: must be all, largest, none"),
        (("people.png", "--background", "none"), "needs scale=1, not 2"),
        (("people.png", "--faces-only", "a", "-o", "b"), "--faces-only writes faces and no photographs"),
        (("nowhere.png",), "no such file"),
        (("people.png", "--tile", "big"), "--tile big"),
    ):
        assert restore(*arguments) == 2
        assert message in capsys.readouterr().err


def test_the_hydra_door_does_the_same(folder, capsys):
    settings = ["weights=w.safetensors", "scale=2", "checked=false", "device=cpu", "report=r.json", "draw=true"]
    assert run_command(door.main, "input=people.png", "output=out", *settings) == 0
    assert "3 faces found, 3 restored" in capsys.readouterr().out
    assert restore("people.png", "-o", "direct.png") == 0
    assert np.array_equal(read_rgb("out/people.png"), read_rgb("direct.png"))
    assert (folder / "out" / "people.faces.png").is_file()
    assert len(json.loads((folder / "r.json").read_text())["photos"][0]["faces"]) == 3


def test_upscale_points_to_restore_where_there_are_faces(monkeypatch, folder, capsys):
    from facehall.assets import Located, WeightsNotFoundError
    from facehall.faces import centerface

    def upscale(name):
        assert main(["upscale", name, "--weights", "w.safetensors", "--device", "cpu", "--overwrite"]) == 0
        return capsys.readouterr().out

    def missing(*about, **options):
        raise WeightsNotFoundError("not on this machine")

    monkeypatch.setattr("facehall.assets.locate_wheel_file", missing)
    assert "facehall restore" not in upscale("people.png")
    monkeypatch.setattr(
        "facehall.assets.locate_wheel_file", lambda *about, network: Located(folder / "c.onnx", "cache")
    )
    monkeypatch.setattr(centerface, "CenterFace", lambda path, backend: find_squares)
    assert "3 faces found: `facehall restore`" in upscale("people.png")
    assert "facehall restore" not in upscale("empty.png")
    write_picture("portrait.png", with_squares(100, 100, (20, 20, 60)))
    assert "facehall restore" not in upscale("portrait.png")
