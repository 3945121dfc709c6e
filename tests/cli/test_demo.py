"""The demo as a stranger meets it: a process started in the repository, watched, and stopped with Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bot.cli.demo import duration
from bot.cli.verb import Exit
from tests.cli.desk import Desk

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
HOSTILE = {"ENV": "production", "BOT_MODE": "paper", "COINBASE_API_KEY": "not-a-key", "BOT_HTTP_PORT": "junk"}
"""What a caller's environment may hold; the demo must not care."""
SCREEN = (32, 120)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bot", "demo", "--speed", "240", *arguments]


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command("--plain", *arguments), cwd=ROOT, env={**os.environ, **HOSTILE}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ask first, so that it can clear its temporary files away."""
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def lines_until(process: subprocess.Popen[str], sign: str) -> list[str]:
    """What is printed up to the first line that holds `sign`; all there is when it never comes."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(line.rstrip("\n"))
        if sign in line:
            break
    return found


def summed_up(lines: list[str]) -> dict[str, str]:
    """The closing summary by its names; lines that go on are joined."""
    rows: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Bulwark demo: closing summary") + 1 :]:
        name = line[2:15].strip() or name
        rows[name] = f"{rows.get(name, '')} {line[15:].strip()}".strip()
    return rows


def confirms_a_clean_end(rows: dict[str, str]) -> bool:
    amounts = re.findall(r"(\S+) [A-Z]+", rows["ledger"].removeprefix("residual ").split(" the bot's books")[0])
    assert amounts, rows["ledger"]
    assert set(amounts) == {"0"}, rows["ledger"]
    return rows["orders left"].startswith("none: ")


def test_a_demo_trades_ends_by_itself_and_proves_that_nothing_was_left(tmp_path: Path) -> None:
    with demo("--for", "15s", "--data-dir", str(tmp_path / "look")) as process:
        lines = lines_until(process, "nothing ever prints this")
        assert process.wait(PATIENCE_S) == Exit.FINE, "\n".join(lines)
    rows = summed_up(lines)
    assert any("  filled    bought " in line for line in lines)
    assert any("  no trade  " in line for line in lines)
    assert int(rows["orders"].split(" sent")[0]) >= 2
    assert re.search(r"\b(1 fill|([2-9]|\d\d+) fills), fees \$", rows["orders"])
    assert rows["ended"].startswith("--for is over, after 15 s")
    assert confirms_a_clean_end(rows)
    assert (tmp_path / "look" / "bot.log").stat().st_size > 0
    assert (tmp_path / "look" / "staging-live" / "state.json").is_file()


def test_ctrl_c_cancels_entries_keeps_protection_and_says_so() -> None:
    with demo() as process:
        lines = lines_until(process, "  stops     protected: ")
        bot = next(line for line in lines if line.startswith("bot "))
        folder = Path(next(line for line in lines if line.startswith("log ")).split()[1]).parent
        assert health(bot) == 200
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        lines += lines_until(process, "nothing ever prints this")
        assert process.wait(PATIENCE_S) == Exit.FINE
        assert time.monotonic() - asked < 20
    rows = summed_up(lines)
    assert rows["ended"].startswith("stopped on request")
    assert confirms_a_clean_end(rows)
    assert re.match(r"\d protective orders? stays? at the exchange on purpose", rows["protection"])
    assert "stop " in rows["protection"]
    assert not folder.exists()


def health(line: str) -> int:
    port = int(line.split("127.0.0.1:")[1].split("/", maxsplit=1)[0])
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")
    return connection.getresponse().status


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with demo("--speed", "1") as process:
        lines_until(process, "  no trade  ")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        lines = lines_until(process, "nothing ever prints this")
        assert process.wait(PATIENCE_S) in {Exit.FINE, Exit.ORDERS_LEFT}
        assert time.monotonic() - asked < 10
    assert confirms_a_clean_end(summed_up(lines))


def test_a_terminal_shows_one_page_and_gets_the_summary_on_leaving() -> None:
    process, master = on_a_terminal("--for", "8s")
    try:
        output = read_all(master, PATIENCE_S)
        assert process.wait(PATIENCE_S) == Exit.FINE
    finally:
        process.kill()
        os.close(master)
    frame, after = last_frame(output)
    assert frame[0].startswith("Bulwark demo")
    assert frame[2].startswith("equity $")
    assert {"What happened", "Positions", "Open orders at the exchange"} <= {line.strip() for line in frame}
    assert any("bot status --data-dir" in line for line in frame)
    assert len(frame) == SCREEN[0]
    assert "orders left  none" in after


def on_a_terminal(*arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SCREEN, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env={**environ, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    return process, master


def read_all(master: int, patience_s: float) -> str:
    output, give_up = b"", time.monotonic() + patience_s
    while time.monotonic() < give_up:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            part = os.read(master, 1 << 16)
        except OSError:  # what a terminal says when the last writer has gone
            break
        output += part
    return output.decode()


def last_frame(output: str) -> tuple[list[str], str]:
    """The newest whole page, and what came after the page was left."""
    shown, after = output.rsplit("\x1b[?1049l", 1)
    page = next(part for part in reversed(shown.split("\x1b[H")) if "Bulwark demo" in part)
    plain = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip("\r") for line in page.split("\n")]
    return plain, after


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)], ids=["bare", "s", "m", "h"]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("wrong", ["0", "-5s", "5x", "", "1.5m", "soon"])
def test_a_duration_that_makes_no_sense_is_refused(wrong: str, tmp_path: Path) -> None:
    desk = Desk({}, tmp_path)
    assert desk.run("demo", f"--for={wrong}") == Exit.USAGE
    assert "is no duration: write 90, 90s, 5m or 1h" in desk.err


@pytest.mark.parametrize("speed", ["0", "601", "fast", "nan"])
def test_a_speed_without_sense_is_refused(speed: str, tmp_path: Path) -> None:
    assert Desk({}, tmp_path).run("demo", "--speed", speed) == Exit.USAGE


def test_a_folder_of_an_earlier_run_is_refused_since_the_exchange_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "state.json").touch()
    desk = Desk({}, tmp_path)
    assert desk.run("demo", "--data-dir", str(tmp_path), "--config-dir", str(ROOT / "config")) == Exit.USAGE
    assert "name a new or empty folder" in desk.err


def test_a_configuration_that_is_not_there_says_where_to_look(tmp_path: Path) -> None:
    desk = Desk({"BOT_CONFIG_DIR": str(tmp_path)}, tmp_path)
    assert desk.run("demo") == Exit.USAGE
    assert f"{tmp_path / 'policy.yaml'} cannot be read" in desk.err


def test_a_folder_without_candles_is_refused(tmp_path: Path) -> None:
    desk = Desk({}, tmp_path)
    assert desk.run("demo", "--replay", str(tmp_path), "--config-dir", str(ROOT / "config")) == Exit.USAGE
    assert "holds no PRODUCT_1m.csv" in desk.err
