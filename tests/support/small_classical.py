"""Pictures with edges, and tiny classical methods."""

import torch
from torch import Tensor

from facehall.classical import ANR, RFL, AnchoredRegression, APlus, RegressionForest
from facehall.classical.patches import FILTERS, WINDOW, projection_kernels, target_size
from facehall.classical.trees import Tree

TINY_DICTIONARY = {"atoms": 12, "iterations": 2}
TINY = {
    "anr": ANR(neighbours=6, **TINY_DICTIONARY),
    "a_plus": APlus(neighbours=64, sizes=2, **TINY_DICTIONARY),
    "rfl": RFL(trees=3, depth=3, min_node=256, min_leaf=128, pairs=3, thresholds=2, scored=256),
}


def edges(side: int = 48, count: int = 2, seed: int = 0, channels: int = 3) -> list[Tensor]:
    """Pictures (channels, side, side) of overlapping discs, whose edges bicubic blurs."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pictures = []
    for _ in range(count):
        picture = torch.full((channels, side, side), 0.5)
        for _ in range(8):
            y, x, radius = torch.rand(3, generator=random) * torch.tensor([side, side, side / 3])
            inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            picture = torch.where(inside, torch.rand(channels, 1, 1, generator=random), picture)
        pictures.append(picture)
    return pictures


def random_kernels(scale: int, features: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    basis = torch.randn(FILTERS, WINDOW * scale, WINDOW * scale, features, generator=random) / (WINDOW * scale)
    return projection_kernels(basis, scale)


def random_regression(scale: int = 2, features: int = 5, anchors: int = 7) -> AnchoredRegression:
    """An anchored regression whose details are large enough to be seen."""
    random = torch.Generator().manual_seed(1)
    vectors = torch.nn.functional.normalize(torch.randn(anchors, features, generator=random), dim=1)
    matrices = torch.randn(anchors, target_size(scale), features, generator=random) / 4
    return AnchoredRegression.of(random_kernels(scale, features), vectors, matrices)


def random_forest(scale: int = 2, features: int = 5) -> RegressionForest:
    """A forest of a tree with three leaves and a tree that is a single leaf."""
    random = torch.Generator().manual_seed(2)

    def tree(tests: list[list[int]], thresholds: list[float], children: list[int], depth: int) -> Tree:
        leaves = sum(child < 0 for child in children)
        matrices = torch.randn(leaves, target_size(scale), features + 1, generator=random) / 8
        return Tree(torch.tensor(tests), torch.tensor(thresholds), torch.tensor(children), matrices, depth)

    large = tree([[0, 1], [0, 0], [2, 3], [0, 0], [0, 0]], [0.1, 0, -0.2, 0, 0], [1, -1, 3, -2, -3], 2)
    return RegressionForest.of(random_kernels(scale, features), [large, tree([[0, 0]], [0.0], [-1], 0)])
