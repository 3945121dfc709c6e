"""The list of mistakes keeps up with the code: each can still be made, and each names tests that exist."""

from __future__ import annotations

import pytest

from tests.sabotage.mistakes import ROOT, Mistake, StaleMistake, catalogue

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
