"""What was looked at and what was found broken, by the number of the invariant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

_NUMBER = re.compile(r"\bI[0-9]{1,2}\b")


class Findings:
    """looked: how often each invariant was judged; broken: what did not hold, in words, with the trading time."""

    def __init__(self) -> None:
        self.looked: Counter[str] = Counter()
        self.broken: list[str] = []

    def check(self, holds: object, at: datetime | None, what: str) -> None:
        """Judge once. what: begins with the numbers of the invariants it judges, as `I1/I22 no buy while halted`."""
        self.looked.update(_NUMBER.findall(what.split(" ", 1)[0]))
        if not holds:
            self.broken.append(f"{at:%Y-%m-%d %H:%M:%S} {what}" if at is not None else what)

    def found(self, invariant: str, problems: Iterable[str]) -> None:
        """Judge once by a list of problems: none means it holds. invariant: one number, or several as `I4/I17`."""
        self.looked.update(_NUMBER.findall(invariant))
        self.broken += [f"{invariant} {problem}" for problem in problems]
