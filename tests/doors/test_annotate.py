"""The annotate command: files that a training reads, resuming, pictures without a face."""

import json

import numpy as np
import pytest
from small import make_photographs, run_command

import facehall.annotate as door
from facehall.data import FolderSource
from facehall.data.annotations import FACES9, FIVE, Annotations
from facehall.data.patches.pairs import read_annotations

POINTS = np.array([[20.0, 20], [40, 20], [30, 30], [22.25, 40], [38, 40]], np.float32)


@pytest.fixture
def seen(monkeypatch):
    """Pictures shown to a stand-in for the teachers, which sees no face on the darkest one and may be interrupted."""

    class Teacher:
        interrupt_after = 99
        dark = -1.0

        def __init__(self, landmarks, parsing):
            self.parsing = parsing

        def __call__(self, picture, box):
            if len(Teacher.shown) >= Teacher.interrupt_after:
                raise KeyboardInterrupt
            Teacher.shown.append(picture.mean())
            if picture.mean() == Teacher.dark:
                return None
            size = picture.shape[:2]
            labels = np.full(size, 3, np.uint8) if self.parsing else None
            return Annotations(size, POINTS, labels, None, FIVE, FACES9 if self.parsing else None)

    Teacher.shown = []
    monkeypatch.setattr(door, "Annotator", Teacher)
    return Teacher


def arguments(tmp_path, *more):
    return [f"data.root={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "landmarks=five", *more]


def test_a_source_reads_what_was_annotated(seen, tmp_path, capsys):
    make_photographs(tmp_path / "in", 6)
    assert run_command(door.main, *arguments(tmp_path)) == 0
    assert "Annotated 6 pictures. Use them with data.annotations=" in capsys.readouterr().out
    source = FolderSource(tmp_path / "in", annotations=tmp_path / "out" / "annotations.json")
    for which in ("train", "val", "test"):
        for file in source.split(which):
            found = read_annotations(file)
            assert np.array_equal(found.landmarks, POINTS)
            assert (found.parsing == 3).all()
            assert found.parsing_scheme == FACES9


def test_an_interrupted_run_is_resumed(seen, tmp_path):
    make_photographs(tmp_path / "in", 6)
    seen.interrupt_after = 4
    assert run_command(door.main, *arguments(tmp_path)) == 130
    assert not (tmp_path / "out" / "annotations.json").exists()
    seen.interrupt_after = 99
    assert run_command(door.main, *arguments(tmp_path)) == 0
    assert len(seen.shown) == 6
    assert len(json.loads((tmp_path / "out" / "annotations.json").read_text())["pictures"]) == 6
    assert run_command(door.main, *arguments(tmp_path)) == 0  # nothing is left to do
    assert len(seen.shown) == 6
    assert not (tmp_path / "out" / ".results").exists()


def test_pictures_without_a_face_are_named(seen, tmp_path, capsys):
    make_photographs(tmp_path / "in", 6)
    assert run_command(door.main, *arguments(tmp_path, "parsing=false")) == 0
    seen.dark = seen.shown[2]
    assert run_command(door.main, *arguments(tmp_path, "parsing=false", f"output={tmp_path / 'other'}")) == 0
    document = json.loads((tmp_path / "other" / "annotations.json").read_text())
    assert len(document["without"]) == 1
    assert len(document["pictures"]) == 5
    assert not (tmp_path / "other" / "parsing").exists()


def test_mistakes_are_one_paragraph(seen, tmp_path, capsys):
    make_photographs(tmp_path / "in", 6)
    assert run_command(door.main, *arguments(tmp_path, f"output={tmp_path / 'in' / 'out'}")) == 2
    assert "is inside data.root" in capsys.readouterr().err
    assert run_command(door.main, *arguments(tmp_path)) == 0
    assert run_command(door.main, *arguments(tmp_path, "parsing=false")) == 2
    assert "parsing was True and is False" in capsys.readouterr().err
    seen.dark = None
    make_photographs(tmp_path / "plain", 3)

    class Blind(seen):
        def __call__(self, picture, box):
            return None

    door.Annotator = Blind
    overrides = [f"data.root={tmp_path / 'plain'}", f"output={tmp_path / 'none'}", "splits=[train]"]
    assert run_command(door.main, *overrides) == 2
    assert "No face was seen on any of" in capsys.readouterr().err
