"""Annotation transforms agree with picture transforms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehall.data.annotations import FACES11, FIVE, IBUG68, Annotations
from facehall.imaging import resize_bicubic, to_tensor
from facehall.imaging.symmetry import COUNT, is_mirror, transform

symmetries = st.integers(0, COUNT - 1)


def annotated(seed, height=20, width=26, scheme=FIVE):
    """Return annotations with landmarks on distinct whole pixels and random classes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.unravel_index(rng.permutation(height * width)[: len(scheme)], (height, width))
    landmarks = np.stack([columns, rows], axis=1).astype(np.float32)
    parsing = rng.integers(0, len(FACES11), (height, width), dtype=np.uint8)
    return Annotations((height, width), landmarks, parsing, 7, scheme, FACES11)


def painted(annotations):
    """Draw annotations as a picture: channel 0 is the class, channel 1 is the landmark number + 1."""
    dots = np.zeros(annotations.size, np.uint8)
    for number, (x, y) in enumerate(annotations.landmarks.astype(int)):
        dots[y, x] = number + 1
    return np.stack([annotations.parsing, dots], axis=2)


def relabelled(picture, annotations):
    """Swap left and right labels in a painted picture."""
    numbers = np.array([0, *(1 + number for number in annotations.landmark_scheme.mirror)], np.uint8)
    classes = np.array(annotations.parsing_scheme.mirror, np.uint8)
    return np.stack([classes[picture[..., 0]], numbers[picture[..., 1]]], axis=2)


def same(one, other):
    return (
        one.size == other.size
        and np.array_equal(one.landmarks, other.landmarks)
        and np.array_equal(one.parsing, other.parsing)
        and one.identity == other.identity
    )


@given(seed=st.integers(0, 1000), which=symmetries, scheme=st.sampled_from([FIVE, IBUG68]))
def test_symmetries_of_annotations_match_those_of_pictures(seed, which, scheme):
    before = annotated(seed, scheme=scheme)
    picture = transform(painted(before), which)
    after = before.symmetry(which)
    assert after.size == picture.shape[:2]
    assert np.array_equal(painted(after), relabelled(picture, before) if is_mirror(which) else picture)


@given(seed=st.integers(0, 1000), data=st.data())
def test_cropped_annotations_match_the_cropped_picture(seed, data):
    before = annotated(seed)
    height, width = before.size
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    after = before.crop((left, top, right, bottom))
    part = painted(before)[top:bottom, left:right]
    assert np.array_equal(after.parsing, part[..., 0])
    inside = 0
    for number, (x, y) in enumerate(after.landmarks.astype(int)):
        if 0 <= x < right - left and 0 <= y < bottom - top:
            assert part[y, x, 1] == number + 1
            inside += 1
    assert inside == np.count_nonzero(part[..., 1])  # the others are outside and kept
    assert len(after.landmarks) == len(FIVE)


@given(seed=st.integers(0, 100), first=symmetries, second=symmetries)
def test_symmetries_of_annotations_compose_as_a_group(seed, first, second):
    before = annotated(seed)
    square = np.arange(4).reshape(2, 2)
    both = transform(transform(square, first), second)
    (product,) = [which for which in range(COUNT) if np.array_equal(transform(square, which), both)]
    assert same(before.symmetry(first).symmetry(second), before.symmetry(product))


@given(seed=st.integers(0, 100), which=symmetries)
def test_only_mirrors_swap_left_and_right(seed, which):
    before = annotated(seed)
    after = before.symmetry(which)
    counts = [np.bincount(each.parsing.ravel(), minlength=len(FACES11)) for each in (before, after)]
    kept = counts[0][list(FACES11.mirror)] if is_mirror(which) else counts[0]
    assert np.array_equal(counts[1], kept)
    assert after.identity == 7
    assert same(before.symmetry(0), before)
    assert same(before.symmetry(4).symmetry(4), before)


def test_a_mirrored_left_eye_is_a_right_one():
    """Hand-computed: the right eye of the mirrored face is where the left one was."""
    points = np.array([[3, 4], [7, 4], [5, 6], [4, 8], [6, 8]], np.float32)
    mirrored = Annotations((10, 12), points, landmark_scheme=FIVE).symmetry(4).landmarks
    assert mirrored.tolist() == [[4, 4], [8, 4], [6, 6], [5, 8], [7, 8]]


@given(
    x=st.floats(18, 46),
    y=st.floats(18, 30),
    height=st.integers(20, 60),
    width=st.integers(24, 80),
)
def test_resized_points_stay_on_the_marked_feature(x, y, height, width):
    """Compare the centroid of a blob before and after bicubic resampling, far from the borders."""
    rows, columns = np.mgrid[:48, :64]
    blob = 220 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))
    picture = resize_bicubic(to_tensor(blob.round().astype(np.uint8)[..., None].repeat(3, 2)), (height, width))[
        0
    ].numpy()
    before = Annotations((48, 64), np.array([[x, y]] * 5, np.float32), landmark_scheme=FIVE)
    found = before.resize((height, width)).landmarks[0]
    weights = np.clip(picture - 0.02, 0, None)
    rows, columns = np.mgrid[:height, :width]
    centre = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    assert np.abs(centre - found).max() < 0.15


@given(factor=st.integers(1, 4), seed=st.integers(0, 100))
def test_a_parsing_map_is_resampled_like_its_picture(factor, seed):
    """Downscale 24-px blocks with bicubic: where the kernel stays inside a block, the classes agree."""
    blocks = np.random.default_rng(seed).integers(0, 11, (4, 5), dtype=np.uint8)
    parsing = blocks.repeat(24, 0).repeat(24, 1)
    size = (parsing.shape[0] // factor, parsing.shape[1] // factor)
    reduced = Annotations(parsing.shape, parsing=parsing, parsing_scheme=FACES11).resize(size)
    picture = resize_bicubic(to_tensor((parsing * 20)[..., None].repeat(3, 2)), size)[0].numpy() * 255 / 20
    old = [
        np.arange(side) * factor + (factor - 1) / 2 for side in size
    ]  # positions of the new pixels in the old picture
    rows, columns = (np.abs(places % 24 - 11.5) < 12 - 2 * factor for places in old)
    inside = rows[:, None] & columns
    assert inside.sum() >= 4 * blocks.size
    assert np.array_equal(picture.round()[inside], reduced.parsing[inside])
    assert set(np.unique(reduced.parsing)) <= set(np.unique(parsing))  # no new classes from interpolation


def test_resizing_to_the_same_size_changes_nothing():
    before = annotated(0)
    assert before.resize(before.size) is before


def test_tensors_contain_the_present_annotations():
    everything = annotated(1).symmetry(3).tensors()  # a view with negative strides
    assert {name: (str(value.dtype), tuple(value.shape)) for name, value in everything.items()} == {
        "landmarks": ("torch.float32", (5, 2)),
        "parsing": ("torch.int64", (26, 20)),
        "identity": ("torch.int64", ()),
    }
    assert Annotations((4, 4), identity=0).tensors().keys() == {"identity"} == Annotations((4, 4), identity=0).kinds


@pytest.mark.parametrize("box", [(0, 0, 27, 5), (-1, 0, 5, 5), (3, 3, 3, 5)])
def test_boxes_outside_the_picture_are_rejected(box):
    with pytest.raises(ValueError, match="is not inside a picture of 26x20"):
        annotated(0).crop(box)


def test_annotations_require_scheme_and_size():
    with pytest.raises(ValueError, match="do not follow"):
        Annotations((4, 4), np.zeros((5, 2), np.float32), landmark_scheme=IBUG68)
    with pytest.raises(ValueError, match="parsing map"):
        Annotations((4, 4), parsing=np.zeros((4, 5), np.uint8), parsing_scheme=FACES11)
