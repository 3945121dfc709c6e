"""The list of mistakes keeps up with the code: each can still be made, and each names tests that exist."""

from __future__ import annotations

import pytest

from tests.sabotage.mistakes import ROOT, Mistake, StaleMistake, catalogue
from tests.sabotage.trees import Outcome, Tree, judged

MISTAKES = catalogue()
EXAMPLE = Mistake("example", "a story", "a control", "a.py", "a < b", "a > b", ("-m", "pytest", "tests/test_a.py"))


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_can_still_be_made_exactly_once(name):
    mistake = MISTAKES[name]
    before = (ROOT / mistake.path).read_text()
    assert mistake.applied(before) != before


@pytest.mark.parametrize("name", MISTAKES)
def test_a_python_file_with_a_mistake_in_it_is_still_python(name):
    """A mistake that no longer parses would be caught by the import, and prove nothing about a control."""
    mistake = MISTAKES[name]
    if mistake.path.endswith(".py"):
        compile(mistake.applied((ROOT / mistake.path).read_text()), mistake.path, "exec")


@pytest.mark.parametrize("name", MISTAKES)
def test_every_test_that_has_to_notice_a_mistake_exists(name):
    """`make sabotage` runs for long; a renamed test should be told of here."""
    for selection in MISTAKES[name].selections:
        path, _, function = selection.partition("::")
        assert (ROOT / path).exists(), selection
        assert not function or f"def {function.partition('[')[0].rpartition('::')[2]}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_tells_the_incident_it_imitates_and_the_control_it_breaks(name):
    mistake = MISTAKES[name]
    assert len(mistake.story.split()) >= 4
    assert mistake.control
    assert mistake.command


@pytest.mark.parametrize(("text", "times"), [("b < a", 0), ("a < b or a < b", 2)])
def test_a_mistake_whose_text_is_gone_or_stands_there_twice_is_refused(text, times):
    with pytest.raises(StaleMistake, match=f"was there {times} times"):
        EXAMPLE.applied(text)


def test_a_mistake_is_the_one_change_it_names():
    assert EXAMPLE.applied("if a < b: stop()") == "if a > b: stop()"


def test_a_broken_tree_is_mended_even_when_its_command_fails(tmp_path):
    (tmp_path / "a.py").write_text("a < b")
    with pytest.raises(RuntimeError, match="a > b"), Tree(tmp_path).broken_by(EXAMPLE):
        raise RuntimeError((tmp_path / "a.py").read_text())
    assert (tmp_path / "a.py").read_text() == "a < b"


def test_no_bytecode_of_an_earlier_mistake_is_believed(tmp_path):
    """Python trusts bytecode of the same second and size; a comparison turned round has the same size."""
    path, tree = tmp_path / "a.py", Tree(tmp_path)
    path.write_text("a < b")
    with tree.broken_by(EXAMPLE):
        broken = path.stat().st_mtime
    assert path.stat().st_mtime > broken


@pytest.mark.parametrize(
    ("code", "output", "tests", "outcome"),
    [
        (0, "3 passed", True, Outcome.SURVIVED),
        (1, "FAILED tests/test_a.py::test_it - assert 1 == 2", True, Outcome.KILLED),
        (1, "ERROR tests/test_a.py::test_it - fixture failed", True, Outcome.BROKEN),
        (2, "FAILED tests/test_a.py::test_it\nInterrupted: 1 error during collection", True, Outcome.BROKEN),
        (4, "ERROR: file or directory not found: tests/test_a.py", True, Outcome.BROKEN),
        (3, "drift: FAILED, equity is 3 % off", False, Outcome.KILLED),
        (1, "Traceback (most recent call last):\n  NameError", False, Outcome.BROKEN),
        (2, "usage: backtest gate", False, Outcome.BROKEN),
    ],
)
def test_only_failed_tests_and_gates_that_say_no_count_as_noticed(code, output, tests, outcome):
    assert judged(code, output, tests=tests).outcome is outcome


def test_a_mistake_is_told_with_the_test_that_noticed_it():
    output = "F\nFAILED tests/test_a.py::test_caps[3] - AssertionError: 7\nFAILED tests/test_a.py::test_b\n1 failed"
    assert judged(1, output, tests=True).by == "tests/test_a.py::test_caps[3]"
