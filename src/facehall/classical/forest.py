"""RFL: the super-resolution forest of Schulter, Leistner, Bischof (2015), with linear leaf models.

Fast and accurate image upscaling with super-resolution forests. Each tree sends the feature of a patch to a leaf, whose
matrix predicts the details of the patch; the forest averages its trees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facehall.classical.patches import REACH, apply_grouped, projection_kernels, target_size, upscale_patchwise
from facehall.classical.samples import Samples, collect, learn_basis, luma_levels
from facehall.classical.settings import check_counts, check_ridge
from facehall.classical.trees import Tree, TreeGrower
from facehall.errors import FacehallError
from facehall.io.progress import progress_bar
from facehall.models.generators.base import Generator, records_arguments


class RegressionForest(Generator):
    """A forest with given trees, on luma.

    The nodes of all trees are numbered one after the other. A node tests whether the difference of two features is
    below its threshold: if so, the patch goes to the node's child, else to the node behind that child.

    Args:
        scale: s.
        features: length d of a feature.
        trees: number of trees T.
        nodes: number of nodes of all trees, leaves included.
        leaves: number of leaves of all trees.
        depth: most tests on a path.
    """

    colour = "y"
    eager_only = True

    @records_arguments
    def __init__(self, scale: int, features: int, trees: int, nodes: int, leaves: int, depth: int) -> None:
        super().__init__()
        if trees < 1:
            raise ValueError("a forest needs at least one tree")
        self.scale, self.depth = scale, depth
        side = REACH * scale
        self.kernels = nn.Parameter(torch.zeros(features, 1, side, side), requires_grad=False)
        self.thresholds = nn.Parameter(torch.zeros(nodes), requires_grad=False)
        # Rounded to 16 bits, because a forest has tens of thousands of matrices: its files take half a gigabyte.
        matrices = torch.zeros(leaves, target_size(scale), features + 1, dtype=torch.float16)
        self.matrices = nn.Parameter(matrices, requires_grad=False)
        self.register_buffer("tests", torch.zeros(nodes, 2, dtype=torch.int64))
        self.register_buffer("next_nodes", torch.zeros(nodes, dtype=torch.int64))  # of a leaf: -1 - its number
        self.register_buffer("roots", torch.zeros(trees, dtype=torch.int64))
        self.tests: Tensor
        self.next_nodes: Tensor
        self.roots: Tensor

    @classmethod
    def of(cls, kernels: Tensor, trees: Iterable[Tree]) -> RegressionForest:
        """Build it from trees and the kernels of their features.

        Raises:
            FacehallError: there are no trees.
        """
        grown = list(trees)
        if not grown:
            raise FacehallError("A forest needs at least one tree: set classical.trees=10.")
        nodes = torch.tensor([len(tree.children) for tree in grown])
        leaves = torch.tensor([len(tree.matrices) for tree in grown])
        roots, first_leaves = nodes.cumsum(0) - nodes, leaves.cumsum(0) - leaves
        children = [
            torch.where(tree.children < 0, tree.children - leaf, tree.children + root)
            for tree, root, leaf in zip(grown, roots, first_leaves, strict=True)
        ]
        sizes = (len(grown), int(nodes.sum()), int(leaves.sum()), max(tree.depth for tree in grown))
        found = cls(kernels.shape[-1] // REACH, len(kernels), *sizes)
        found.load_state_dict(
            {
                "kernels": kernels,
                "thresholds": torch.cat([tree.thresholds for tree in grown]),
                "matrices": torch.cat([tree.matrices for tree in grown]),
                "tests": torch.cat([tree.tests for tree in grown]),
                "next_nodes": torch.cat(children),
                "roots": roots,
            }
        )
        return found.eval()

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """Upscale luma (B, 1, h, w) in [0, 1]: {s: (B, 1, s h, s w)}."""
        return {self.scale: upscale_patchwise(lr, self.kernels, self._predict)}

    def _predict(self, features: Tensor) -> Tensor:
        ones = torch.cat((features, features.new_ones(len(features), 1)), dim=1)
        total = features.new_zeros(len(features), self.matrices.shape[1])
        for root in self.roots:  # one tree at a time, for memory
            total += apply_grouped(ones, self._leaves(features, root), self.matrices)
        return total / len(self.roots)

    def _leaves(self, features: Tensor, root: Tensor) -> Tensor:
        """Return the leaf of each feature (N, d) in one tree: (N,)."""
        node = root.repeat(len(features))
        for _ in range(self.depth):
            child, pair = self.next_nodes[node], self.tests[node]
            first, second = (features.gather(1, index)[:, 0] for index in pair.split(1, dim=1))
            below = first - second < self.thresholds[node]
            node = torch.where(child < 0, node, child + (~below))
        return -1 - self.next_nodes[node]


@dataclass(frozen=True)
class RFL:
    """Learns a super-resolution forest.

    Attributes:
        trees: number of trees, each of which sees all samples.
        depth: most tests on a path.
        min_node: least number of samples of a node that is divided.
        min_leaf: least number of samples of a leaf.
        pairs: random pairs of features among which a node chooses.
        thresholds: random thresholds for each of them; the median is tried as well.
        scored: samples of a node on which the tests are compared.
        kappa: weight of the features' variance beside that of the targets.
        ridge: weight of the squared norm of a leaf's matrix.
        samples: most samples; all of them take (d + 9 s^2) x 4 bytes each.
    """

    trees: int = 10
    depth: int = 15
    min_node: int = 128
    min_leaf: int = 64
    pairs: int = 5
    thresholds: int = 5
    scored: int = 512
    kappa: float = 1.0
    ridge: float = 0.01
    samples: int = 1_000_000

    def fit(self, pictures: Iterable[Tensor], scale: int, seed: int = 0) -> RegressionForest:
        """Learn from pictures (3, H, W), or luma (1, H, W), in [0, 1].

        Raises:
            FacehallError: a setting is invalid, or the pictures are too few or too small.
        """
        self._check()
        lumas = luma_levels(pictures)
        with progress_bar("features", 2 * len(lumas)) as advance:
            kernels = projection_kernels(learn_basis(lumas, scale, seed, advance), scale)
            samples = collect(lumas, kernels, limit=self.samples, seed=seed, advance=advance)
        return RegressionForest.of(kernels, self.grow(samples, seed))

    def grow(self, samples: Samples, seed: int = 0) -> list[Tree]:
        """Grow all trees on the same samples."""
        random = torch.Generator().manual_seed(seed)
        trees = []
        with progress_bar("trees", self.trees) as advance:
            for _ in range(self.trees):
                trees.append(TreeGrower(samples, self, random).grow())
                advance()
        return trees

    def _check(self) -> None:
        lowest = {"trees": 1, "depth": 0, "min_node": 2, "min_leaf": 1, "pairs": 1, "thresholds": 0, "scored": 2}
        check_counts(self, {**lowest, "samples": 1})
        check_ridge(self.ridge)
        if not self.kappa >= 0:
            raise FacehallError(f"classical.kappa={self.kappa}: set a number of at least 0.")
        if self.scored < 2 * self.min_leaf:
            raise FacehallError(
                f"classical.scored={self.scored} is less than twice classical.min_leaf={self.min_leaf}, so no node "
                "could be divided. Set a larger classical.scored."
            )
