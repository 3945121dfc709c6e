"""Whoever runs a check is told how it is called, and on a terminal how far it has come."""

from __future__ import annotations

import io

from backtest.check.progress import Teller
from backtest.cli import main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_help_of_check_shows_how_it_is_called(capsys):
    assert main(["check", "--help"], io.StringIO(), io.StringIO()) == 0
    told = capsys.readouterr().out
    assert "example:" in told
    assert "  backtest check lookahead --data candles" in told
    assert "  backtest check parity --data candles --from" in told


def test_every_kind_of_check_has_an_example_of_its_own(capsys):
    for kind in ("lookahead", "warmup", "parity"):
        assert main(["check", kind, "--help"], io.StringIO(), io.StringIO()) == 0
        assert f"example:\n  backtest check {kind} --data" in capsys.readouterr().out


def test_a_terminal_sees_how_many_bars_are_behind():
    err = Terminal()
    note = Teller(err)
    note("running 40 bars")
    with note.bars(40) as tick:
        for k in range(40):
            tick(k)
    assert "running 40 bars" in err.getvalue()
    assert "40/40" in err.getvalue()


def test_a_file_is_told_the_line_and_no_bar():
    err = io.StringIO()
    note = Teller(err)
    note("running 40 bars")
    with note.bars(40) as tick:
        tick(39)
    assert err.getvalue() == "running 40 bars\n"


def test_nobody_listens_and_nothing_is_told():
    note = Teller(None)
    note("running")
    with note.bars(2) as tick:
        tick(0)
