"""A recorded cycle is decided again to the same bytes, or it is said what differs and what is missing."""

from __future__ import annotations

import json

import pytest

from bot.cli.recorded import differences
from tests.cli.desk import EAGER, UNIVERSE, bot_of, desk_at
from tests.configs import write_config


def kept(desk):
    return sorted(path.name.removesuffix(".inputs.json") for path in (desk.state_dir / "cycles").glob("*.inputs.json"))


def test_every_kept_cycle_is_decided_again_to_the_same_bytes(traded):
    cycles = kept(traded)
    assert len(cycles) >= 3
    outcomes = set()
    for cycle in cycles:
        assert traded.run("replay", cycle) == 0, traded.out + traded.err
        assert "the same decision, byte for byte" in traded.out
        outcomes.add(traded.json("explain", cycle)["outcome"])
    assert "TRADED" in outcomes
    assert traded.json("replay", "last") == {"cycle_id": cycles[-1], "identical": True, "differences": []}


def test_a_replay_uses_the_configuration_of_its_cycle_not_the_present_one(copied, tmp_path):
    write_config(tmp_path / "config", {**EAGER, "risk": {"max_open_positions": 1}}, UNIVERSE)
    copied.environ["BOT_CONFIG_DIR"] = str(tmp_path / "config")
    assert copied.run("replay", kept(copied)[0]) == 0, copied.err


def test_a_decision_that_was_changed_afterwards_is_shown_where_it_differs(copied):
    cycle = kept(copied)[0]
    file = copied.state_dir / "cycles" / f"{cycle}.json"
    file.write_bytes(file.read_bytes().replace(b'"regime":"chop"', b'"regime":"bull"'))
    assert copied.run("replay", cycle) == 1
    assert 'regime: was "bull", is "chop"' in copied.out


def test_a_changed_input_changes_the_decision(copied):
    cycle = kept(copied)[0]
    file = copied.state_dir / "cycles" / f"{cycle}.inputs.json"
    data = json.loads(file.read_text())
    data["snapshot"]["balances"]["USD"]["available"] = "50"
    file.write_text(json.dumps(data))
    assert copied.run("replay", cycle) == 1
    assert "evaluated[0]" in copied.out


def test_bars_that_the_venue_mended_later_are_told_and_not_used(copied):
    cycle = kept(copied)[-1]
    file = copied.state_dir / "cycles" / f"{cycle}.inputs.json"
    data = json.loads(file.read_text())
    data["bars"]["BTC-USD"]["newest"][0] += 1
    file.write_text(json.dumps(data))
    assert copied.run("replay", cycle) == 1
    assert "the bars of BTC-USD have changed since" in copied.err


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("cycles/*.inputs.json", "no longer kept: the inputs of this cycle"),
        ("cycles/*[0-9].json", "no longer kept: the decision of this cycle"),
        ("configs/*.json", "no longer kept: the configuration of this cycle"),
        ("bars/ETH-USD*", "the bars of ETH-USD up to this cycle are no longer kept"),
        ("journal/*", "the journal does not reach back to event"),
    ],
)
def test_what_is_missing_is_named(copied, gone, words):
    cycle = kept(copied)[0]
    for path in copied.state_dir.glob(gone):
        path.unlink()
    assert copied.run("replay", cycle) == 1
    assert words in copied.err


def test_a_bundle_is_replayed_where_nothing_else_is(traded, tmp_path):
    bundle = tmp_path / "cycle.json"
    assert traded.run("replay", kept(traded)[0], "--bundle", str(bundle)) == 0
    elsewhere = desk_at(tmp_path / "elsewhere", mode="paper")
    assert elsewhere.run("replay", str(bundle)) == 0, elsewhere.err
    assert "the same decision, byte for byte" in elsewhere.out
    bundle.write_text('{"bundle": 9}')
    assert elsewhere.run("replay", str(bundle)) == 1
    assert "version 9" in elsewhere.err
    bundle.write_text("[]")
    assert elsewhere.run("replay", str(bundle)) == 1
    assert "this is no bundle" in elsewhere.err
    assert elsewhere.run("replay", "last") == 1
    assert "no cycle is kept in" in elsewhere.err


def test_no_more_cycles_are_kept_than_configured(tmp_path, sim):
    desk = desk_at(tmp_path, sim, **{**EAGER, "state": {"cycles_kept": 2}})
    with bot_of(desk) as app:
        for _ in range(4):
            app.loop.run_cycle()
            sim.run_for(60)
        assert app.loop.last is not None
        last = app.loop.last.cycle_id
    assert len(list((desk.state_dir / "cycles").iterdir())) == 4, "two cycles, decision and inputs"
    assert kept(desk)[-1] == last
    assert desk.run("replay", last) == 0


def test_differences_name_the_path_of_each_value():
    was = json.dumps({"a": [1, {"b": 2}], "c": "x"}).encode()
    now = json.dumps({"a": [1, {"b": 3}], "d": None, "c": "x"}).encode()
    assert differences(was, now) == ["a[1].b: was 2, is 3"]
    assert differences(b'{"a": [1]}', b'{"a": [1, 2]}') == ["a: was [1], is [1, 2]"]
