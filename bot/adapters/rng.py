"""Randomness for jitter: the system's, or repeatable from a seed."""

from __future__ import annotations

import random


class SystemRng:
    """Different in every run."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class SeededRng:
    """The same numbers for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
