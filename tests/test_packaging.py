"""What is installed is what was locked, by hash, on any machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("run.lock", "dev.lock")


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def named(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """A lock with an index, a host or a path in it installs from there, or not at all."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    assert re.findall(r"://|^-|@|\.\./|^\s*#.* /", text, re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / "requirements" / lock).read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_locks_cover_the_project() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    shipped = named(
        PROJECT["project"]["dependencies"] + extras["sim"] + extras["backtest"] + PROJECT["build-system"]["requires"]
    )
    assert shipped <= pins("run.lock").keys()
    assert named(extras["dev"]) <= pins("dev.lock").keys()
    assert named(extras["dev"]).isdisjoint(pins("run.lock"))


def test_tests_run_on_the_versions_that_trade() -> None:
    assert pins("run.lock").items() <= pins("dev.lock").items()


def test_the_build_backend_is_locked_as_declared() -> None:
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]
