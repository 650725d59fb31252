"""RFL: trees, leaves and the forest's file."""

import pytest
import torch
from small_classical import TINY, edges, random_forest

from facehall.classical import RFL, RegressionForest
from facehall.classical.samples import Samples
from facehall.classical.trees import TreeGrower, _mean_variance
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.models.weights import load_generator, save_generator


def piecewise(count=2000, seed=0):
    """Targets that are another linear function of the features on either side of x0 = x1."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 3, generator=random)
    first, second = torch.randn(2, 3, 4, generator=random)
    left = (features[:, 0] < features[:, 1])[:, None]
    return Samples(features, torch.where(left, features @ first + 4, features @ second - 4))


def follow(tree, feature):
    """The leaf of one feature, by hand."""
    node, depth = 0, 0
    while tree.children[node] >= 0:
        a, b = tree.tests[node].tolist()
        below = feature[a] - feature[b] < tree.thresholds[node]
        node, depth = int(tree.children[node]) + int(not below), depth + 1
    return -1 - int(tree.children[node]), depth


def grown(samples, seed=0, **settings):
    return TreeGrower(samples, RFL(**settings), torch.Generator().manual_seed(seed)).grow()


def test_a_tree_without_tests_is_one_ridge_regression():
    samples = piecewise(300)
    tree = grown(samples, depth=0)
    x = torch.cat((samples.features, torch.ones(300, 1)), 1)
    expected = torch.linalg.solve(x.T @ x + 0.01 * torch.eye(4), x.T @ samples.targets).T
    assert tree.children.tolist() == [-1]
    torch.testing.assert_close(tree.matrices[0], expected, atol=1e-3, rtol=1e-3)


def test_the_useful_test_is_chosen():
    tree = grown(piecewise(), depth=1, pairs=12, thresholds=40, scored=1000)
    assert set(tree.tests[0].tolist()) == {0, 1}
    assert abs(float(tree.thresholds[0])) < 0.3


@pytest.mark.parametrize(("depth", "min_node", "min_leaf"), [(15, 128, 64), (3, 128, 64), (15, 400, 150), (15, 128, 1)])
def test_sizes_of_nodes_and_leaves(depth, min_node, min_leaf):
    samples = piecewise()
    tree = grown(samples, depth=depth, min_node=min_node, min_leaf=min_leaf, pairs=12)
    leaves, depths = zip(*(follow(tree, feature) for feature in samples.features), strict=True)
    sizes = torch.bincount(torch.tensor(leaves), minlength=len(tree.matrices))
    assert len(sizes) == len(tree.matrices) > 4
    assert sizes.min() >= min_leaf
    assert max(depths) == tree.depth <= depth
    if tree.depth < depth and min_leaf == 1:
        assert sizes.max() < min_node  # large nodes are always divisible then
    assert tree.matrices.shape[1:] == (4, 4)


def test_a_node_of_twice_the_leaf_size_is_divided_at_its_median():
    samples = Samples(torch.randn(128, 3), torch.randn(128, 2))
    tree = grown(samples)
    assert len(tree.matrices) == 2


def test_leaves_fit_their_samples():
    samples = piecewise()
    tree = grown(samples, depth=1, pairs=12, thresholds=40, scored=1000)
    single = grown(samples, depth=0)

    def mean_error(of):
        leaves = torch.tensor([follow(of, feature)[0] for feature in samples.features])
        x = torch.cat((samples.features, torch.ones(len(samples), 1)), 1)
        return float(((of.matrices[leaves] @ x[..., None])[..., 0] - samples.targets).square().mean())

    assert mean_error(tree) < 0.3 * mean_error(single)


def test_variance_of_a_side():
    values = torch.randn(2, 30, 5)
    members = (torch.rand(2, 3, 30) < 0.5).float()
    found = _mean_variance(members, members.sum(2), values, values.square().sum(2))
    for node in range(2):
        for test in range(3):
            side = values[node, members[node, test] > 0]
            assert found[node, test] == pytest.approx(float(side.var(0, correction=0).mean()), rel=1e-3)


def test_the_forest_averages_its_trees():
    forest = random_forest()
    features = torch.randn(40, 5)
    found, matrices = forest._predict(features), forest.matrices.float()
    for feature, details in zip(features, found, strict=True):
        second = 1 if feature[2] - feature[3] < -0.2 else 2
        leaf = 0 if feature[0] - feature[1] < 0.1 else second
        x = torch.cat((feature, torch.ones(1)))
        expected = (matrices[leaf] @ x + matrices[3] @ x) / 2
        torch.testing.assert_close(details, expected, atol=1e-5, rtol=1e-4)


def test_a_grown_forest_routes_like_its_trees():
    samples = piecewise(600)
    samples = Samples(samples.features, samples.targets.repeat(1, 9))
    trees = RFL(trees=2, min_node=64, min_leaf=32, scored=64).grow(samples)
    forest = RegressionForest.of(torch.zeros(3, 1, 10, 10), trees)
    shift = len(trees[0].matrices)
    for number, (tree, root) in enumerate(zip(trees, forest.roots, strict=True)):
        expected = [follow(tree, feature)[0] + number * shift for feature in samples.features[:100]]
        assert forest._leaves(samples.features[:100], root).tolist() == expected


def test_fitted_forests_beat_bicubic_on_a_new_picture():
    net = TINY["rfl"].fit(edges(72, 5), 3)
    hr = edges(60, 1, seed=9, channels=1)[0][None]
    lr = downscale_bicubic(hr, 3)
    inner = (..., slice(3, -3), slice(3, -3))
    bicubic, fitted = ((sr - hr)[inner].square().mean() for sr in (upscale_bicubic(lr, 3), net(lr)))
    assert fitted < 0.97 * bicubic


def test_fits_are_reproducible():
    first, again = (TINY["rfl"].fit(edges(32), 2, seed=3) for _ in range(2))
    other = TINY["rfl"].fit(edges(32), 2, seed=4)
    assert torch.equal(first.matrices, again.matrices)
    assert first.thresholds.shape != other.thresholds.shape or not torch.equal(first.thresholds, other.thresholds)


def test_weights_file(tmp_path):
    net = random_forest()
    save_generator(tmp_path / "forest.safetensors", net)
    read = load_generator(tmp_path / "forest.safetensors")
    lr = torch.rand(1, 1, 8, 9)
    assert isinstance(read, RegressionForest)
    assert torch.equal(read(lr), net(lr))
    assert not torch.allclose(net(lr), upscale_bicubic(lr, 2), atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trees": 0}, "classical.trees=0"),
        ({"depth": -1}, "classical.depth=-1"),
        ({"min_leaf": 1.5}, "classical.min_leaf=1.5"),
        ({"ridge": 0}, "classical.ridge=0"),
        ({"ridge": "much"}, "classical.ridge=much"),
        ({"kappa": -1}, "classical.kappa=-1"),
        ({"scored": 100}, "classical.scored=100 is less than twice classical.min_leaf=64"),
    ],
)
def test_invalid_settings(settings, message):
    with pytest.raises(FacehallError, match=message):
        RFL(**settings).fit(edges(20), 2)


def test_no_trees():
    with pytest.raises(FacehallError, match="at least one tree"):
        RegressionForest.of(torch.zeros(3, 1, 10, 10), [])
    with pytest.raises(ValueError, match="at least one tree"):
        RegressionForest(2, 3, trees=0, nodes=0, leaves=0, depth=0)
