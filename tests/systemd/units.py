"""Reading unit files: sections of repeated directives, in order."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "systemd"
DAEMON, GUARD, ALERT, STAGING = (
    "bulwark.service",
    "bulwark-guard.service",
    "bulwark-alert@.service",
    "bulwark-staging.service",
)
UNITS = (DAEMON, GUARD, ALERT, STAGING)

Section = Mapping[str, Sequence[str]]


def unit(name: str) -> Mapping[str, Section]:
    """Section -> directive -> its values in the order of the file."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for number, line in enumerate((FOLDER / name).read_text().splitlines(), start=1):
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = found.setdefault(line.strip("[] "), defaultdict(list))
            continue
        key, equals, value = line.partition("=")
        assert equals, f"{name}, line {number} is no directive: {line}"
        section[key].append(value)
    return found


def service(name: str) -> Section:
    return unit(name)["Service"]


def environment(name: str) -> dict[str, str]:
    """The variables a unit sets itself."""
    return dict(pair.split("=", 1) for line in service(name)["Environment"] for pair in shlex.split(line))


def arguments(name: str) -> list[str]:
    """What a unit hands to `bot`."""
    env, program, *rest = shlex.split(service(name)["ExecStart"][0])
    assert (env, program) == ("/usr/bin/env", "bot")
    return rest
