"""In after N good cycles in a row, out after M bad ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decision import HysteresisCount
from bot.settings.universe import Hysteresis
from bot.universe.hysteresis import step


def run(cycles: str, enter_after: int = 2, leave_after: int = 3) -> str:
    """`+` a cycle that met every condition, `-` one that did not; answers who was in after each: I or o."""
    policy = Hysteresis(enter_after=enter_after, leave_after=leave_after)
    memory: HysteresisCount | None = None
    seen = ""
    for cycle in cycles:
        memory = step(memory, cycle == "+", policy)
        seen += "I" if memory.eligible else "o"
    return seen


@pytest.mark.parametrize(
    ("cycles", "members"),
    [
        ("+", "o"),
        ("++", "oI"),
        ("+-++", "oooI"),
        ("++--++", "oIIIII"),
        ("++---", "oIIIo"),
        ("++--+--+---", "oIIIIIIIIIo"),
        ("++---+++", "oIIIooII"),
        ("---", "ooo"),
    ],
)
def test_two_in_and_three_out(cycles: str, members: str) -> None:
    assert run(cycles) == members


def test_one_and_one_is_no_memory_at_all() -> None:
    assert run("+-++-", enter_after=1, leave_after=1) == "IoIIo"


@given(st.text("+-", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_membership_only_changes_after_a_full_run_of_the_other_kind(cycles: str, enter: int, leave: int) -> None:
    members = run(cycles, enter, leave)
    for i, (before, now) in enumerate(zip("o" + members, members, strict=False)):
        run_in, run_out = cycles[max(0, i + 1 - enter) : i + 1], cycles[max(0, i + 1 - leave) : i + 1]
        if before == "o":
            assert (now == "I") is (run_in == "+" * enter)
        else:
            assert (now == "o") is (run_out == "-" * leave)


@given(st.text("+-", max_size=40))
def test_a_memory_that_agrees_does_not_change(cycles: str) -> None:
    """Nothing is journalled for a market that simply stays what it is."""
    policy = Hysteresis(enter_after=2, leave_after=3)
    memory = None
    for cycle in cycles:
        memory = step(memory, cycle == "+", policy)
    settled = step(step(memory, True, policy), True, policy)
    assert step(settled, True, policy) == settled == HysteresisCount(True, 0)
