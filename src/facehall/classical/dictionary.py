"""Sparse dictionaries: orthogonal matching pursuit and K-SVD, with which Zeyde et al. (2010) learn anchors.

Pati et al. (1993), Orthogonal matching pursuit; Aharon et al. (2006), K-SVD; the atoms are updated by the one power
iteration of Rubinstein et al. (2008), Efficient implementation of the K-SVD algorithm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError

MAX_COHERENCE = 0.99
"""An atom more parallel to another one is replaced."""
MIN_USES = 4
"""An atom used by fewer samples is replaced."""
_CHUNK = 16_384
"""Samples coded at once."""


def sparse_codes(samples: Tensor, atoms: Tensor, sparsity: int) -> tuple[Tensor, Tensor]:
    """Approximate samples by a few atoms each, by orthogonal matching pursuit.

    Args:
        samples: (N, d).
        atoms: (K, d), of unit length.
        sparsity: number of atoms per sample.

    Returns:
        the atoms chosen for each sample (N, sparsity) int64, all different, and their coefficients (N, sparsity).
    """
    gram = atoms @ atoms.T
    parts = [_pursue(chunk, atoms, gram, sparsity) for chunk in samples.split(_CHUNK)]
    chosen, coefficients = zip(*parts, strict=True)
    return torch.cat(chosen), torch.cat(coefficients)


def _pursue(samples: Tensor, atoms: Tensor, gram: Tensor, sparsity: int) -> tuple[Tensor, Tensor]:
    correlations = samples @ atoms.T
    residual = correlations  # of the samples with the atoms
    chosen = torch.empty(len(samples), 0, dtype=torch.int64)
    coefficients = samples.new_empty(len(samples), 0)
    for _ in range(sparsity):
        size = residual.abs()
        if chosen.shape[1]:
            size.scatter_(1, chosen, -1.0)
        chosen = torch.cat((chosen, size.argmax(1, keepdim=True)), 1)
        among = gram[chosen[:, :, None], chosen[:, None]].double()
        # The tiny ridge keeps the system solvable if a sample chooses parallel atoms.
        among.diagonal(dim1=1, dim2=2).add_(1e-9)
        wanted = correlations.gather(1, chosen).double()
        coefficients = torch.linalg.solve(among, wanted).to(samples.dtype)
        if chosen.shape[1] < sparsity:
            explained = (coefficients[:, :, None] * atoms[chosen]).sum(1)
            residual = (samples - explained) @ atoms.T
    return chosen, coefficients


def learn_atoms(
    samples: Tensor,
    count: int,
    sparsity: int = 3,
    iterations: int = 20,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Tensor:
    """Learn a dictionary by K-SVD.

    Args:
        samples: (N, d); the first atoms are chosen among them.
        count: number of atoms K.
        sparsity: atoms per sample.
        iterations: rounds of coding all samples and updating all atoms.
        seed: of the first atoms.
        advance: called after each iteration.

    Returns:
        (K, d), atoms of unit length.

    Raises:
        FacehallError: there are fewer samples than atoms, not counting those that are zero.
    """
    lengths = samples.norm(dim=1)
    usable = (lengths > 1e-6).nonzero()[:, 0]
    if len(usable) < count:
        raise FacehallError(
            f"The pictures give {len(usable)} patches that are not flat, too few for a dictionary of {count} atoms. "
            "Give more or larger pictures, or set fewer atoms."
        )
    first = usable[torch.randperm(len(usable), generator=torch.Generator().manual_seed(seed))[:count]]
    atoms = samples[first] / lengths[first, None]
    for _ in range(iterations):
        chosen, coefficients = sparse_codes(samples, atoms, min(sparsity, count))
        atoms = _update(samples, atoms, chosen, coefficients)
        advance()
    return atoms


def _update(samples: Tensor, atoms: Tensor, chosen: Tensor, coefficients: Tensor) -> Tensor:
    """Improve each atom, and its coefficients, for the samples that use it; replace atoms of little use."""
    new = atoms.numpy().copy()
    codes = coefficients.numpy().copy()
    residual = (samples - _combine(atoms, chosen, coefficients)).numpy()
    users = chosen.flatten().argsort(stable=True)
    uses = torch.bincount(chosen.flatten(), minlength=len(atoms))
    groups = np.split(users.numpy(), uses.cumsum(0)[:-1].numpy())
    flat = codes.reshape(-1)
    for k, group in enumerate(groups):
        if not len(group):
            continue
        rows, weight = group // chosen.shape[1], flat[group]
        error = residual[rows] + weight[:, None] * new[k]
        direction = weight @ error
        length = np.linalg.norm(direction)
        if length > 1e-12:
            new[k] = direction / length
        flat[group] = error @ new[k]
        residual[rows] = error - flat[group][:, None] * new[k]
    return _replace(samples, torch.from_numpy(new), uses, torch.from_numpy(residual))


def _combine(atoms: Tensor, chosen: Tensor, coefficients: Tensor) -> Tensor:
    parts = zip(chosen.split(_CHUNK), coefficients.split(_CHUNK), strict=True)
    return torch.cat([(weight[:, :, None] * atoms[index]).sum(1) for index, weight in parts])


def _replace(samples: Tensor, atoms: Tensor, uses: Tensor, residual: Tensor) -> Tensor:
    """Replace atoms that are little used or nearly parallel to an earlier one by the samples coded worst."""
    parallel = ((atoms @ atoms.T).abs().triu(1) > MAX_COHERENCE).any(0)
    poor = (parallel | (uses < MIN_USES)).nonzero()[:, 0]
    worst = residual.square().sum(1).topk(min(len(poor), len(samples))).indices
    found = samples[worst]
    lengths = found.norm(dim=1, keepdim=True)
    kept = atoms[poor[: len(worst)]]
    atoms[poor[: len(worst)]] = torch.where(lengths > 1e-6, found / lengths.clamp_min(1e-6), kept)
    return atoms


def coupled_atoms(samples: Tensor, targets: Tensor, atoms: Tensor, sparsity: int = 3) -> Tensor:
    """Return the target atoms that with the samples' codes give their targets best, by least squares (Zeyde et al.).

    Args:
        samples: (N, d).
        targets: (N, p).
        atoms: (K, d).
        sparsity: atoms per sample.

    Returns:
        (K, p).
    """
    chosen, coefficients = sparse_codes(samples, atoms, min(sparsity, len(atoms)))
    weights, wide = coefficients.double(), targets.double()
    count = len(atoms)
    products = torch.zeros(count * count, dtype=torch.float64)
    wanted = torch.zeros(count, targets.shape[1], dtype=torch.float64)
    for a in range(chosen.shape[1]):
        wanted.index_add_(0, chosen[:, a], weights[:, a, None] * wide)
        for b in range(chosen.shape[1]):
            products.index_add_(0, chosen[:, a] * count + chosen[:, b], weights[:, a] * weights[:, b])
    products = products.reshape(count, count)
    products.diagonal().add_(1e-9 * float(products.diagonal().mean()))  # atoms without a user
    return torch.linalg.solve(products, wanted).to(samples.dtype)
