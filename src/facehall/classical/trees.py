"""Growing regression trees with linear leaves, level by level.

The nodes of a level are divided together, because thousands of small steps would leave the cores waiting for Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from facehall.classical.regression import ridge_regression
from facehall.classical.samples import Samples

_CHUNK_BYTES = 2**26
"""Approximate size of the samples that are scored at once."""


class Settings(Protocol):
    """Settings of a tree; see `facehall.classical.forest.RFL`."""

    @property
    def depth(self) -> int: ...
    @property
    def min_node(self) -> int: ...
    @property
    def min_leaf(self) -> int: ...
    @property
    def pairs(self) -> int: ...
    @property
    def thresholds(self) -> int: ...
    @property
    def scored(self) -> int: ...
    @property
    def kappa(self) -> float: ...
    @property
    def ridge(self) -> float: ...


@dataclass(frozen=True)
class Tree:
    """A tree; node 0 is the root.

    Attributes:
        tests: (nodes, 2), the two features whose difference is compared.
        thresholds: (nodes,), with what.
        children: (nodes,): the child for differences below it, the other child being the next node; -1 - L in leaf L.
        matrices: (leaves, p, d + 1); the last column is the constant.
        depth: most tests on a path.
    """

    tests: Tensor
    thresholds: Tensor
    children: Tensor
    matrices: Tensor
    depth: int


class TreeGrower:
    """Grows a tree.

    Args:
        samples: all of them are used.
        settings: see `facehall.classical.forest.RFL`.
        random: of the tests.
    """

    def __init__(self, samples: Samples, settings: Settings, random: torch.Generator) -> None:
        self._features, self._targets = samples.features, samples.targets
        self._settings, self._random = settings, random
        self._energies = self._features.square().sum(1), self._targets.square().sum(1)

    def grow(self) -> Tree:
        """Divide nodes until they are small, deep or cannot be divided, and fit the leaves."""
        node = torch.zeros(len(self._features), dtype=torch.int64)
        tests = [torch.zeros(1, 2, dtype=torch.int64)]
        thresholds, children = [torch.zeros(1)], [torch.full((1,), -1)]
        first, depth = 0, 0
        while depth < self._settings.depth:
            level = _Level(node, first, len(children[-1]), self._random)
            pair, threshold, divided = self._divide(level)
            if not divided.any():
                break
            tests[-1], thresholds[-1] = pair, threshold
            following = first + len(divided)
            children[-1] = torch.where(divided, following + 2 * (divided.cumsum(0) - 1), -1)
            node = self._route(node, first, pair, threshold, children[-1])
            first = following
            count = 2 * int(divided.sum())
            tests.append(torch.zeros(count, 2, dtype=torch.int64))
            thresholds.append(torch.zeros(count))
            children.append(torch.full((count,), -1))
            depth += 1
        found = torch.cat(children)
        leaves = found < 0
        number = leaves.cumsum(0) - 1
        matrices = self._fit_leaves(number[node], int(leaves.sum()))
        return Tree(torch.cat(tests), torch.cat(thresholds), torch.where(leaves, -1 - number, found), matrices, depth)

    def _route(self, node: Tensor, first: int, pair: Tensor, threshold: Tensor, child: Tensor) -> Tensor:
        """Return the new nodes of all samples after a level, whose first node is `first`, was divided."""
        here = (node >= first).nonzero()[:, 0]
        place = node[here] - first
        features = self._features[here]
        a, b = (features.gather(1, index)[:, 0] for index in pair[place].split(1, dim=1))
        below = a - b < threshold[place]
        new = torch.where(child[place] < 0, node[here], child[place] + (~below))
        return node.index_copy(0, here, new)

    def _divide(self, level: _Level) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the best test of every node: pairs (nodes, 2), thresholds (nodes,), and whether there is any."""
        count = len(level.counts)
        pair, threshold = torch.zeros(count, 2, dtype=torch.int64), torch.zeros(count)
        divided = torch.zeros(count, dtype=torch.bool)
        numbers = 4 * self._settings.scored * (self._features.shape[1] + self._targets.shape[1])
        candidates = (level.counts >= self._settings.min_node).nonzero()[:, 0]
        for nodes in candidates.split(max(1, _CHUNK_BYTES // numbers)) if len(candidates) else ():
            rows, valid = level.draw(nodes, self._settings.scored)
            pair[nodes], threshold[nodes], divided[nodes] = self._best_tests(rows, valid)
        return pair, threshold, divided

    def _best_tests(self, rows: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare random tests of nodes on a part of their samples.

        Args:
            rows: (nodes, scored), the samples.
            valid: (nodes, scored), False where a node has fewer samples.
        """
        features = self._features[rows]
        pairs = self._draw_pairs(len(rows), features.shape[2])
        a, b = (features.gather(2, index[:, None].expand(-1, rows.shape[1], -1)) for index in pairs.unbind(2))
        responses = (a - b).transpose(1, 2)  # (nodes, pairs, scored)
        thresholds = self._draw_thresholds(responses, valid)
        below = (responses[:, :, None] < thresholds[..., None]).flatten(1, 2) & valid[:, None]
        counts = valid.sum(1, keepdim=True)
        sides = below, valid[:, None] & ~below
        score = torch.zeros(below.shape[:2])
        possible = torch.ones(below.shape[:2], dtype=torch.bool)
        targets = self._targets[rows]
        for side in sides:
            members = side.float()
            size = members.sum(2)
            variances = (
                _mean_variance(members, size, values, energy[rows])
                for values, energy in zip((targets, features), (self._energies[1], self._energies[0]), strict=True)
            )
            of_targets, of_features = variances
            score += size / counts * (of_targets + self._settings.kappa * of_features) / 2
            possible &= size >= self._settings.min_leaf
        best = score.masked_fill(~possible, torch.inf).argmin(1)
        nodes = torch.arange(len(rows))
        return (
            pairs[nodes, best // thresholds.shape[2]],
            thresholds.flatten(1)[nodes, best],
            possible.any(1),
        )

    def _draw_pairs(self, nodes: int, features: int) -> Tensor:
        """Draw the pairs of nodes (nodes, pairs, 2): two random orders of the features side by side (RFL's code)."""
        orders = torch.rand(nodes, 2, max(features, self._settings.pairs), generator=self._random).argsort(2)
        return (orders[..., : self._settings.pairs] % features).transpose(1, 2)

    def _draw_thresholds(self, responses: Tensor, valid: Tensor) -> Tensor:
        """Draw thresholds (nodes, pairs, thresholds + 1), in the lower 95 % of the range; the last is the median."""
        known = valid[:, None].expand_as(responses)
        ordered = responses.masked_fill(~known, torch.inf).sort(2).values
        counts = valid.sum(1)
        lowest = ordered[..., :1]
        highest = responses.masked_fill(~known, -torch.inf).amax(2, keepdim=True)
        shape = (*responses.shape[:2], self._settings.thresholds)
        drawn = lowest + 0.95 * (highest - lowest) * torch.rand(shape, generator=self._random)
        middle = [
            ordered.gather(2, place[:, None, None].expand(-1, responses.shape[1], 1))
            for place in ((counts - 1) // 2, counts // 2)
        ]
        return torch.cat((drawn, (middle[0] + middle[1]) / 2), dim=2)

    def _fit_leaves(self, leaf: Tensor, count: int) -> Tensor:
        """Fit each leaf's linear model by ridge regression: (leaves, p, d + 1)."""
        order = leaf.argsort(stable=True)
        sizes = torch.bincount(leaf, minlength=count).tolist()
        matrices = torch.empty(count, self._targets.shape[1], self._features.shape[1] + 1)
        for k, rows in enumerate(order.split(sizes)):
            inputs = torch.cat((self._features[rows], torch.ones(len(rows), 1)), 1)
            matrices[k] = ridge_regression(inputs, self._targets[rows], self._settings.ridge)
        return matrices


class _Level:
    """The nodes of one level and their samples, in random order.

    Args:
        node: (N,), the node of each sample.
        first: the level's first node.
        count: number of its nodes.
        random: of the order.
    """

    def __init__(self, node: Tensor, first: int, count: int, random: torch.Generator) -> None:
        mixed = torch.randperm(len(node), generator=random)
        here = mixed[node[mixed] >= first]
        place = node[here] - first
        self._order = here[place.argsort(stable=True)]
        self.counts = torch.bincount(place, minlength=count)
        self._starts = self.counts.cumsum(0) - self.counts

    def draw(self, nodes: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Draw up to `most` samples of each node: rows (nodes, most), and whether each is one: (nodes, most)."""
        place = torch.arange(min(most, int(self.counts[nodes].max())))
        valid = place < self.counts[nodes, None]
        rows = self._order[self._starts[nodes, None] + torch.where(valid, place, 0)]
        return rows, valid


def _mean_variance(members: Tensor, size: Tensor, values: Tensor, energies: Tensor) -> Tensor:
    """Return the variance of a test's side, averaged over dimensions: (nodes, tests).

    Args:
        members: (nodes, tests, n), 1 for samples on that side, else 0.
        size: (nodes, tests), their number.
        values: (nodes, n, k), the samples' features or targets.
        energies: (nodes, n), the squared lengths of those.
    """
    size = size.clamp_min(1)
    mean = (members @ values) / size[..., None]
    energy = (members @ energies[..., None])[..., 0] / size
    return ((energy - mean.square().sum(2)) / values.shape[2]).clamp_min(0)
