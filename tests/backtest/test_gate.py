"""The gate: green as committed, red for anything that changed, broke or did not happen."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from backtest import baseline
from backtest.cli import main
from backtest.drill import market
from backtest.gate import OWN, TOLERANCE_PCT, Outcome, Verdict, drifted
from bot.adapters.codeversion import code_version
from bot.cli.proofs import _gate as proof_of
from bot.errors import ConfigError
from bot.settings.load import load_config
from tests.configs import SHIPPED, write_config


def gate(folder: Path, *more: str, config: Path = SHIPPED) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what was printed, and the result."""
    out, result = io.StringIO(), folder / "gate.json"
    code = main(["gate", "--config-dir", str(config), "--out", str(result), *more], out, io.StringIO())
    return code, out.getvalue(), json.loads(result.read_text())


def outcome(name: str, **figures: float) -> Outcome:
    return Outcome(name, (), figures)


def verdict(*outcomes: Outcome, drift: tuple[str, ...] = ()) -> Verdict:
    return Verdict("hash", "code", outcomes, drift)


def test_the_shipped_configuration_passes_and_its_result_serves_the_launch_certificate(tmp_path):
    code, said, result = gate(tmp_path)
    assert (code, result["reasons"]) == (0, []), said
    config = load_config(SHIPPED)
    assert (result["passed"], result["config_hash"]) == (True, config.config_hash)
    assert result["code_version"] == code_version()
    assert proof_of(tmp_path / "gate.json", config).met


def test_a_configuration_that_never_trades_is_red_and_cannot_become_the_baseline(tmp_path):
    asleep = write_config(tmp_path / "config", {"rules": []})
    code, said, result = gate(tmp_path, "--accept", config=asleep)
    assert (code, result["passed"]) == (3, False)
    assert "FAILED there is no baseline" in said
    for missing in ("no closed trades", "no fills", "gate total_cap was never asked"):
        assert f"FAILED policy: empty: {missing}" in said
    assert not (asleep / baseline.FILE).exists()
    assert not proof_of(tmp_path / "gate.json", load_config(asleep)).met


def test_a_changed_result_becomes_the_baseline_when_somebody_says_so(tmp_path):
    config = tmp_path / "config"
    shutil.copytree(SHIPPED, config)
    committed = json.loads((config / baseline.FILE).read_text())
    other = committed | {"figures": {"policy": committed["figures"]["policy"], "drill": {"costs.fees": 1.0}}}
    baseline.write(config / baseline.FILE, other)
    code, said, result = gate(tmp_path, "--accept", config=config)
    assert (code, result["passed"]) == (0, True), said
    made = json.loads((config / baseline.FILE).read_text())
    outcomes = [Outcome(name, (), figures) for name, figures in made["figures"].items()]
    assert list(drifted(outcomes, committed["figures"])) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"figures": {"drill": {"x": "1"}}}', '{"figures": {"drill": {"x": NaN}}}']
)
def test_a_broken_baseline_is_bad_usage_and_leaves_no_passed_result_behind(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    (tmp_path / "gate.json").write_text('{"passed": true}')
    code, _, result = gate(tmp_path, "--baseline", str(tmp_path / "old.json"))
    assert (code, result["passed"]) == (2, False)
    with pytest.raises(ConfigError, match="no baseline"):
        baseline.read(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("was", "now", "red"),
    [
        (100.0, 101.9, False), (100.0, 98.1, False), (100.0, 102.1, True), (100.0, 97.9, True), (-50.0, -50.9, False),
        (-50.0, -51.1, True), (0.0, 0.0, False), (0.0, 0.001, True), (5.0, 0.0, True), (3.0, 4.0, True),
    ],
)  # fmt: skip
def test_a_figure_may_move_by_two_percent_and_no_more(was, now, red):
    assert TOLERANCE_PCT == 2.0
    assert bool(list(drifted([outcome("drill", x=now)], {"drill": {"x": was}}))) is red


def test_a_figure_that_vanished_or_is_new_is_drift():
    found = list(drifted([outcome("drill", new=1)], {"drill": {"gone": 7}}))
    assert len(found) == 2
    assert "gone is 0, the baseline says 7 (-100.0 %)" in found[0]
    assert "new is 1, the baseline says 0 (new)" in found[1]


def test_a_verdict_without_a_single_run_is_no_pass():
    assert not verdict().passed
    assert verdict(outcome("drill", x=1)).passed
    assert not verdict(outcome("drill", x=1), drift=("x",)).passed
    assert not Verdict("hash", "code", (Outcome("drill", ("bad",), {}),)).passed
    assert not Verdict("hash", "code", (outcome("drill"),), crash="it did not finish").passed


def test_the_market_of_the_gate_is_the_same_on_every_machine(tmp_path):
    """The first and last candles of three products, written down once."""
    universe = load_config(OWN).universe
    assert len(market.cast(universe)) == len(market.ROLES)
    market.write(tmp_path, universe)
    ends = {}
    for name in ("BTC-USD", "SOL-USD", "FIL-USD"):
        rows = (tmp_path / f"{name}_1m.csv").read_text().splitlines()
        ends[name] = [rows[1], rows[-1]]
    assert ends == json.loads((Path(__file__).parent / "golden" / "market.json").read_text())
