"""Labelling schemes: mirror permutations and declarations in files."""

import pytest

from facehall.data.annotations import CELEBAMASK19, FACES9, FACES11, FIVE, IBUG68, LandmarkScheme, ParsingScheme
from facehall.data.annotations.schemes import declaration, landmark_scheme, parsing_scheme
from facehall.errors import FacehallError

SCHEMES = [IBUG68, FIVE, FACES11, FACES9, CELEBAMASK19]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_mirror_is_its_own_inverse(scheme):
    mirror = scheme.mirror
    assert sorted(mirror) == list(range(len(scheme)))
    assert [mirror[mirror[i]] for i in range(len(scheme))] == list(range(len(scheme)))


def test_the_68_points_are_swapped_as_in_300w():
    """Compare with the flip table of 300-W, by ranges of its figure."""
    expected = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    expected += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    expected += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    assert list(IBUG68.mirror) == expected
    assert len(IBUG68) == 68


def test_merged_classes_stay_and_separate_ones_swap():
    assert FACES9.mirror == tuple(range(9))
    swapped = {FACES11.labels[i] for i, j in enumerate(FACES11.mirror) if i != j}
    assert swapped == {"left_brow", "right_brow", "left_eye", "right_eye"}
    assert len(CELEBAMASK19) == 19


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "no labels"),
        (("nose", "nose"), "'nose' twice"),
        (("left_eye", "nose"), "'left_eye' but no 'right_eye'"),
    ],
)
def test_labels_that_cannot_be_mirrored_are_rejected(labels, message):
    with pytest.raises(FacehallError, match=message):
        LandmarkScheme("mine", labels)


def test_a_scheme_of_five_or_68_points_need_not_be_declared():
    assert landmark_scheme(None, 68, "f") is IBUG68
    assert landmark_scheme(None, 5, "f") is FIVE
    with pytest.raises(FacehallError, match=r"f has 97 landmarks.*declares no landmark_scheme"):
        landmark_scheme(None, 97, "f")
    with pytest.raises(FacehallError, match=r"'five' has 5"):
        landmark_scheme("five", 68, "f")
    with pytest.raises(FacehallError, match=r"unknown landmark_scheme 'ibug'; known: ibug68, five"):
        landmark_scheme("ibug", 68, "f")


def test_a_set_may_declare_its_own_scheme():
    own = parsing_scheme(["background", "left_ear", "right_ear"], "f")
    assert own.mirror == (0, 2, 1)
    assert parsing_scheme(declaration(own), "f") == own
    assert declaration(FACES11) == "faces11"
    assert parsing_scheme(list(FACES11.labels), "f") is FACES11
    assert isinstance(own, ParsingScheme)
    with pytest.raises(FacehallError, match="f declares no parsing_scheme"):
        parsing_scheme(None, "f")
    with pytest.raises(FacehallError, match="a name or a list of names, not 3"):
        parsing_scheme(3, "f")
