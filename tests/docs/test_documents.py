"""The documents agree with the program: commands exist, links lead somewhere, nothing that can ring is left out."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import bot.cli
from bot.cli.verb import Exit
from bot.domain.snapshot import Environment, Mode
from bot.domain.state import HaltCause
from bot.settings.environment import Venue
from bot.settings.matrix import MATRIX, Permission
from bot.settings.policy import BreakersPolicy
from tests.docs import spoken
from tests.docs.markdown import DOCUMENTS, ROOT, anchors, command_lines, document, names, section, tables

RUNBOOK = document("docs/RUNBOOK.md")
IDS = [path.name for path in DOCUMENTS]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    made = {}
    for found in pkgutil.iter_modules(bot.cli.__path__):
        module = importlib.import_module(f"bot.cli.{found.name}")
        if hasattr(module, "VERB"):
            made[module.VERB.name] = argparse.ArgumentParser(module.VERB.name)
            module.VERB.arguments(made[module.VERB.name])
    return made


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Every option a verb understands, those of its actions included."""
    found = {"--help"}
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for inner in action.choices.values() for option in options(inner)}
    return found


def actions(parser: argparse.ArgumentParser) -> set[str]:
    """Words of which a verb wants one first; empty when it wants none."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name for group in groups for name in group.choices}


def runbook_names(heading: str) -> set[str]:
    [table] = tables(section(RUNBOOK, heading))
    return {names(next(iter(row.values())))[0] for row in table}


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_every_command_in_a_document_is_one_the_program_understands(path: Path) -> None:
    known = parsers()
    wrong = []
    for line in command_lines(path.read_text()):
        _, verb, *rest = re.sub(r"^(?:[A-Z_]+=\S+ )*", "", line).split()
        if verb in {"...", "VERB"}:
            continue
        if verb not in known:
            wrong.append(line)
            continue
        unknown = [word for word in rest if word.startswith("--") and word not in options(known[verb])]
        if unknown or (actions(known[verb]) and rest and rest[0] not in actions(known[verb])):
            wrong.append(line)
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = path if not file else (path.parent / file).resolve()
        if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
            broken.append(target)
    assert broken == []


def test_every_document_is_in_the_table_of_the_readme() -> None:
    [rows] = tables(section(document("README.md"), "Documents"))
    linked = {target for row in rows for target in re.findall(r"\((.*?)\)", row["document"])}
    ours = {str(path.relative_to(ROOT)) for path in DOCUMENTS} - {"README.md", "docs/CONTROLS.md"}
    assert linked - {"docs/CONTROLS.md"} == ours


def test_every_alert_has_something_to_do() -> None:
    assert runbook_names("Alerts") == spoken.fingerprints()


def test_every_halt_has_something_to_do() -> None:
    assert runbook_names("Halts") == {cause.value for cause in HaltCause}


def test_every_breaker_has_something_to_look_at() -> None:
    assert runbook_names("Circuit breakers") == set(BreakersPolicy.model_fields)


def test_every_exit_code_has_something_to_do() -> None:
    [rows] = tables(section(RUNBOOK, "Exit codes"))
    assert {int(row["code"]) for row in rows} == {int(code) for code in Exit}


WORDS = {
    (Permission.YES, Permission.YES): "yes",
    (Permission.NEVER, Permission.NEVER): "never",
    (Permission.NEVER, Permission.YES): "with a key",
    (Permission.NEVER, Permission.CERTIFIED): "with a key and a certificate",
}
"""What a cell of the matrix says without a key and with one."""
COLUMNS = {Venue.COINBASE: "live on Coinbase", Venue.TEST: "live on a test venue on this machine"}


def test_the_table_of_what_may_run_where_is_the_one_in_force() -> None:
    [rows] = tables(section(document("README.md"), "What may run where"))
    told = {row["ENV"]: row for row in rows}
    assert set(told) == {environment.value for environment in Environment}
    for (environment, mode), venues in MATRIX.items():
        for venue, column in COLUMNS.items():
            without, having = venues[venue]
            word = WORDS[without.permission, having.permission]
            cell = told[environment.value][column if mode is Mode.LIVE else mode.value]
            assert cell == word, f"{environment.value} {mode.value} {venue.value}"


def test_the_exit_codes_in_the_readme_are_all_of_them() -> None:
    text = section(document("README.md"), "Every day")
    line = text[text.index("Exit codes:") : text.index("All verbs")]
    assert {int(code) for code in re.findall(r"(?:^|[·:])\s*(\d) ", line)} == {int(code) for code in Exit}


def test_tests_named_as_evidence_exist() -> None:
    named = set(re.findall(r"\b(test_\w+\.py)", document("docs/SECURITY.md")))
    assert named
    assert {name for name in named if not list((ROOT / "tests").rglob(name))} == set()


def test_the_architecture_fits_on_one_page_and_names_only_folders_that_exist() -> None:
    text = document("docs/ARCHITECTURE.md")
    assert len(text.splitlines()) <= 90
    rooms = [name for row in tables(section(text, "The rooms"))[0] for name in names(row["folder"])]
    assert [name for name in rooms if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_files_named_in_documents_exist(path: Path) -> None:
    named = re.findall(
        r"`((?:bot|simulator|backtest|tests|docs|config|systemd|monitoring)/[\w./-]+\.\w+)`", path.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []
