"""The bot killed at an instant of a life that goes on: a fork of this process is the machine it died on."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from tests.simulation.findings import Findings

LONGEST_S = 60.0
"""Real seconds the machine after a kill may take to show what became of it."""


Leave = Callable[[], NoReturn]
"""Reports what was found so far and ends the machine after a kill, from however deep."""


class Hung(BaseException):
    """The machine after a kill came to no end; passes through every edge at which the bot survives mistakes."""


def killed_here(findings: Findings, what: str, sequel: Callable[[Leave], None]) -> None:
    """Judge a world in which the bot died at this call, and go on in the one in which it did not.

    sequel runs in a fork: venue, files and clock are there as they are, and nothing of the bot's code runs on above it,
    so that no handler can tidy up. It ends by returning, or, deeper down, by what it is given. What it adds to
    `findings` is added here; one that raises or hangs is a finding.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _be_the_other(theirs, findings, sequel)
    os.close(theirs)
    try:
        report = _all_of(ours)
    finally:
        os.waitpid(child, 0)
    if not report:
        findings.broken.append(f"I6 killed {what}: the machine left without a report")
        return
    told = json.loads(report)
    findings.looked.update(told["looked"])
    findings.broken += [f"killed {what}: {problem}" for problem in told["broken"]]


def _be_the_other(pipe: int, findings: Findings, sequel: Callable[[Leave], None]) -> NoReturn:
    known = len(findings.broken)
    findings.looked.clear()

    def leave() -> NoReturn:
        report = {"looked": findings.looked, "broken": [problem[:500] for problem in findings.broken[known:][:20]]}
        os.write(pipe, json.dumps(report).encode())
        os._exit(0)

    try:
        gc.disable()
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
        try:
            sequel(leave)
        except BaseException as error:  # whatever it is belongs into the report: there is nobody above
            findings.broken.append(f"I6 {type(error).__name__}: {error}")
        leave()
    finally:
        os._exit(1)


def _give_up(*_: object) -> None:
    raise Hung(f"no end after {LONGEST_S:g} s")


def _all_of(pipe: int) -> bytes:
    with os.fdopen(pipe, "rb") as reader:
        return reader.read()
