"""Numbers that look drawn by chance and are the same everywhere: splitmix64 on a counter, without a state to carry.

Source: G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators (2014), section 4 and figure 17.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from bot.domain.bars import Ints

_STEP: Final = 0x9E3779B97F4A7C15
_SALT: Final = 0xD1342543DE82EF95
_MASK: Final = (1 << 64) - 1


def words(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """`count` words of 64 bits; another seed gives others."""
    start = np.uint64((seed * _SALT + _STEP) & _MASK)
    z = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def below(seed: int, count: int, limit: int) -> Ints:
    """`count` integers in 0..limit-1; the bias is below limit / 2**32."""
    return ((words(seed, count) >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)


def bell(seed: int, count: int, width: int) -> Ints:
    """`count` integers around 0, nearly normal: each the sum of four even ones, with a deviation of about width / 2."""
    side = width * 7 // 8
    drawn = below(seed, 4 * count, 2 * (side // 2) + 1).reshape(count, 4) - side // 2
    return np.asarray(drawn.sum(axis=1), dtype=np.int64)
