"""ANR and A+: anchored neighbourhood regression.

Timofte, De Smet, Van Gool (2013), Anchored neighborhood regression for fast example-based super-resolution; (2014), A+:
Adjusted anchored neighborhood regression for fast super-resolution. Both predict the details of a patch by a matrix
that belongs to the dictionary atom most correlated with the patch's feature. They differ in what the matrix of an atom
is learned from: other atoms (ANR), or training samples (A+).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facehall.classical.dictionary import coupled_atoms, learn_atoms
from facehall.classical.patches import REACH, apply_grouped, projection_kernels, target_size, upscale_patchwise
from facehall.classical.regression import ridge_regression
from facehall.classical.samples import Samples, collect, learn_basis, luma_levels
from facehall.classical.settings import check_counts, check_ridge
from facehall.errors import FacehallError
from facehall.io.progress import progress_bar
from facehall.models.generators.base import Generator, records_arguments

DICTIONARY_SAMPLES = 400_000
"""Most samples from which a dictionary is learned; T91 has fewer."""


class AnchoredRegression(Generator):
    """A+ or ANR with given regressors, on luma.

    Args:
        scale: s.
        features: length d of a feature.
        anchors: number of anchors K.
    """

    colour = "y"
    eager_only = True

    @records_arguments
    def __init__(self, scale: int, features: int, anchors: int) -> None:
        super().__init__()
        self.scale = scale
        side = REACH * scale
        self.kernels = nn.Parameter(torch.zeros(features, 1, side, side), requires_grad=False)
        self.anchors = nn.Parameter(torch.zeros(anchors, features), requires_grad=False)
        self.regressors = nn.Parameter(torch.zeros(anchors, target_size(scale), features), requires_grad=False)

    @classmethod
    def of(cls, kernels: Tensor, anchors: Tensor, regressors: Tensor) -> AnchoredRegression:
        """Build it from its tables; see the attributes' shapes in the constructor."""
        found = cls(kernels.shape[-1] // REACH, len(kernels), len(anchors))
        tables = {"kernels": kernels, "anchors": anchors, "regressors": regressors}
        found.load_state_dict({name: table.float() for name, table in tables.items()})
        return found.eval()

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """Upscale luma (B, 1, h, w) in [0, 1]: {s: (B, 1, s h, s w)}."""
        return {self.scale: upscale_patchwise(lr, self.kernels, self._predict)}

    def _predict(self, features: Tensor) -> Tensor:
        nearest = (features @ self.anchors.T).abs().argmax(dim=1)
        return apply_grouped(features, nearest, self.regressors)


@dataclass(frozen=True)
class ANR:
    """Learns an anchored neighbourhood regression whose neighbours are atoms.

    Attributes:
        atoms: atoms of the dictionary, which are the anchors.
        sparsity: atoms per sample while learning the dictionary.
        iterations: of K-SVD.
        neighbours: atoms from which the matrix of an anchor is learned.
        ridge: weight of its squared norm.
    """

    atoms: int = 1024
    sparsity: int = 3
    iterations: int = 20
    neighbours: int = 40
    ridge: float = 0.01

    def fit(self, pictures: Iterable[Tensor], scale: int, seed: int = 0) -> AnchoredRegression:
        """Learn from pictures (3, H, W), or luma (1, H, W), in [0, 1].

        Raises:
            FacehallError: a setting is invalid, or the pictures are too few or too small.
        """
        check_counts(self, dict.fromkeys(("atoms", "sparsity", "iterations", "neighbours"), 1))
        check_ridge(self.ridge)
        lumas = luma_levels(pictures)
        kernels, samples, atoms = learn_dictionary(lumas, scale, self.atoms, self.sparsity, self.iterations, seed)
        targets = coupled_atoms(samples.features, samples.targets, atoms, self.sparsity)
        return AnchoredRegression.of(kernels, atoms, atom_regressors(atoms, targets, self.neighbours, self.ridge))


@dataclass(frozen=True)
class APlus:
    """Learns A+, an anchored regression whose neighbours are training samples.

    Attributes:
        atoms, sparsity, iterations: of the dictionary, as in `ANR`.
        neighbours: samples from which the matrix of an anchor is learned.
        ridge: weight of its squared norm.
        samples: most samples; all of them take (d + 9 s^2) x 4 bytes each.
        sizes: each picture is used at this many sizes.
        shrink: ratio of one size to the next.
    """

    atoms: int = 1024
    sparsity: int = 3
    iterations: int = 20
    neighbours: int = 2048
    ridge: float = 0.1
    samples: int = 5_000_000
    sizes: int = 12
    shrink: float = 0.98

    def fit(self, pictures: Iterable[Tensor], scale: int, seed: int = 0) -> AnchoredRegression:
        """Learn from pictures (3, H, W), or luma (1, H, W), in [0, 1].

        Raises:
            FacehallError: a setting is invalid, or the pictures are too few or too small.
        """
        check_counts(self, dict.fromkeys(("atoms", "sparsity", "iterations", "neighbours", "samples", "sizes"), 1))
        check_ridge(self.ridge)
        if not 0 < self.shrink <= 1:
            raise FacehallError(f"classical.shrink={self.shrink}: set a ratio above 0 and at most 1.")
        lumas = luma_levels(pictures)
        kernels, _, atoms = learn_dictionary(lumas, scale, self.atoms, self.sparsity, self.iterations, seed)
        sizes = [self.shrink**i for i in range(self.sizes)]
        with progress_bar("collecting patches", len(sizes) * len(lumas)) as advance:
            samples = collect(lumas, kernels, 1, sizes, self.samples, seed, advance)
        return AnchoredRegression.of(kernels, atoms, sample_regressors(atoms, samples, self.neighbours, self.ridge))


def learn_dictionary(
    lumas: list[Tensor], scale: int, atoms: int, sparsity: int, iterations: int, seed: int
) -> tuple[Tensor, Samples, Tensor]:
    """Learn Zeyde's dictionary from every second window of 8-bit luma.

    Returns:
        the kernels of the features, the samples it was learned from, and the atoms (K, d).
    """
    with progress_bar("features", 2 * len(lumas)) as advance:
        kernels = projection_kernels(learn_basis(lumas, scale, seed, advance), scale)
        samples = collect(lumas, kernels, 2, limit=DICTIONARY_SAMPLES, seed=seed, advance=advance)
    with progress_bar(f"dictionary of {atoms} atoms", iterations) as advance:
        return kernels, samples, learn_atoms(samples.features, atoms, sparsity, iterations, seed, advance)


def atom_regressors(atoms: Tensor, targets: Tensor, neighbours: int, ridge: float) -> Tensor:
    """Return the matrices of ANR (Timofte et al. 2013, eq. 5), each learned from the atoms most correlated with one.

    Args:
        atoms: (K, d).
        targets: (K, p), see `facehall.classical.dictionary.coupled_atoms`.
        neighbours: number of atoms.
        ridge: weight of the squared norm.

    Returns:
        (K, p, d); the authors' code enlarges them by 1 %, and so does this.
    """
    nearest = (atoms @ atoms.T).abs().topk(min(neighbours, len(atoms)), dim=1).indices
    found = [ridge_regression(atoms[index], targets[index], ridge) for index in nearest]
    return 1.01 * torch.stack(found)


def sample_regressors(atoms: Tensor, samples: Samples, neighbours: int, ridge: float) -> Tensor:
    """Return the matrices of A+ (Timofte et al. 2014, sec. 3), each learned from the samples nearest to an atom.

    Features are scaled to unit length, and targets alike, but no target by more than 10 times.

    Args:
        atoms: (K, d).
        samples: all samples.
        neighbours: number of samples for each atom.
        ridge: weight of the squared norm.

    Returns:
        (K, p, d).
    """
    lengths = samples.features.norm(dim=1) + torch.finfo(torch.float32).eps
    unit = samples.features / lengths[:, None]
    divisor = torch.where(lengths < 0.1, 1.0, lengths)
    half = unit.square().sum(1).div(2)  # 1/2, but 0 for flat patches
    found = []
    with progress_bar("regressors", len(atoms)) as advance:
        for atom in atoms:
            score = torch.mv(unit, atom) - half  # falls with the distance
            nearest = score.topk(min(neighbours, len(unit)), sorted=False).indices
            targets = samples.targets[nearest] / divisor[nearest, None]
            found.append(ridge_regression(unit[nearest], targets, ridge))
            advance()
    return torch.stack(found)
