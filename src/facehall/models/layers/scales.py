"""Scales of a network as steps of upsampling: their factors and the scales of a pyramid."""

from __future__ import annotations

import itertools
import operator

FACTORS = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


def upsampling_factors(scale: int) -> tuple[int, ...]:
    """Return the factors of a network's upsampling steps: 2 as often as necessary, or 3.

    Raises:
        ValueError: a scale other than 2, 3, 4 and 8.
    """
    if scale not in FACTORS:
        raise ValueError(f"scale must be one of {', '.join(map(str, FACTORS))}, not {scale}")
    return FACTORS[scale]


def accumulated_scales(factors: tuple[int, ...]) -> tuple[int, ...]:
    """Return the scale after each upsampling step, coarsest first."""
    return tuple(itertools.accumulate(factors, operator.mul))


def pyramid_scales(scale: int) -> tuple[int, ...]:
    """Return the scales of a pyramid of x2 levels, coarsest first.

    Raises:
        ValueError: a scale other than 2, 4 and 8.
    """
    powers = [each for each, factors in FACTORS.items() if set(factors) == {2}]
    if scale not in powers:
        raise ValueError(f"scale must be one of {', '.join(map(str, powers))}, not {scale}")
    return accumulated_scales(FACTORS[scale])
