"""What a person at the prompt sees: help with an example everywhere, and one plain line for every mistake."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.config import differences
from bot.cli.main import VERBS
from tests.cli.desk import EAGER, UNIVERSE, Desk, bot_of, desk_at
from tests.configs import write_config

NESTED = [("journal", "tail"), ("journal", "verify"), ("state", "verify"), ("state", "restore"), ("config", "show"),
          ("config", "hash"), ("config", "diff"), ("config", "schema")]  # fmt: skip
NOWHERE = Desk({}, Path("data"))


@pytest.mark.parametrize("words", [*[(verb.name,) for verb in VERBS], *NESTED], ids=" ".join)
def test_every_verb_helps_with_an_example(words):
    assert NOWHERE.run(*words, "--help") == 0
    assert NOWHERE.out.startswith(f"usage: bot {' '.join(words)}")
    assert "example:\n  " in NOWHERE.out
    assert f"bot {' '.join(words)}" in NOWHERE.out.partition("example:")[2]
    described = NOWHERE.out.partition("\n\n")[2].partition(":\n")[0]
    assert len(described.split()) > 3, "no sentence says what it does"


def test_the_list_of_verbs_is_the_contracts():
    wanted = {
        "run", "check", "status", "halt", "resume", "flag", "unflag", "bans", "approve", "reject", "adopt", "ignore",
        "explain", "orders", "positions", "fills", "export", "journal", "replay", "risk-report", "config",
        "alert-test", "certify", "fetch-candles", "state",
    }  # fmt: skip
    assert wanted <= {verb.name for verb in VERBS}
    assert NOWHERE.run("--help") == 0
    assert all(name in NOWHERE.out for name in wanted)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: VERB"),
        (["statsu"], "invalid choice: 'statsu'"),
        (["status", "--jsn"], "unrecognized arguments: --jsn"),
        (["flag", "SOL-USD"], "the following arguments are required: RED_FLAG"),
        (["flag", "!!", "recent_exploit"], "product id must look like BTC-USD, was '!!'"),
        (["flag", "SOL-USD", "recent_exploit", "--hours", "-1"], "must be above zero, was -1"),
        (["journal"], "the following arguments are required: tail|verify"),
        (["journal", "tail", "-n", "many"], "must be a whole number, was 'many'"),
        (["status", "--mode", "real"], "invalid choice: 'real'"),
    ],
)
def test_bad_usage_is_exit_2_and_names_the_mistake(words, said):
    assert NOWHERE.run(*words) == 2
    assert said in NOWHERE.err
    assert "--help` shows how it is used" in NOWHERE.err
    assert "Traceback" not in NOWHERE.err


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ENV": "producton"}, "ENV: must be one of staging, production, was 'producton'; did you mean `production`?"),
        ({"BOT_MODE": "papper"}, "BOT_MODE: must be one of dry_run, paper, live, was 'papper'; did you mean `paper`?"),
        ({"BOT_HTTP_PORT": "99999"}, "BOT_HTTP_PORT: must be a port"),
    ],
)
def test_a_wrong_environment_is_exit_2(tmp_path, environ, said):
    desk = Desk({**environ, "BOT_DATA_DIR": str(tmp_path)}, tmp_path)
    assert desk.run("status") == 2
    assert said in desk.err


@pytest.mark.parametrize("verb", ["run --once", "status", "explain last", "check", "halt", "flag BTC-USD team_rug"])
def test_a_data_directory_that_is_a_file_is_exit_2_and_one_plain_line(tmp_path, verb):
    (tmp_path / "data").write_text("notes")
    desk = desk_at(tmp_path, mode="paper")
    for below in ("data", "data/deeper"):
        desk.environ["BOT_DATA_DIR"] = str(tmp_path / below)
        assert desk.run(*verb.split()) == 2
        assert desk.err == f"bot: BOT_DATA_DIR: {tmp_path / 'data'} is a file, a folder is needed: name another\n"
    assert desk.run("status", "--data-dir", str(tmp_path / "data")) == 2
    assert "bot: --data-dir: " in desk.err
    assert (tmp_path / "data").read_text() == "notes"


def test_a_misspelt_variable_refuses_the_start_and_never_keeps_orders_from_being_taken_back(tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    desk.environ["BOT_MDOE"] = "live"
    for verb in ("run --once", "check", "status"):
        assert desk.run(*verb.split()) == 2
        assert desk.err == "bot: BOT_MDOE: is no variable of this bot; did you mean BOT_MODE?\n"
    assert desk.run("halt", "--reason", "drill") == 0
    assert "did you mean BOT_MODE?" in desk.err
    assert (tmp_path / "data" / "KILL_SWITCH").read_text().startswith("drill")


def test_an_invalid_configuration_is_exit_2_with_every_problem(tmp_path):
    desk = desk_at(tmp_path, mode="paper", **{**EAGER, "riks": {}, "loop": {"interval_seconds": -1}})
    assert desk.run("config", "hash") == 2
    assert "did you mean `risk`?" in desk.err
    assert "interval_seconds" in desk.err
    assert desk.run("run", "--once") == 2


def test_the_configuration_shows_hashes_and_differs(tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    shown = desk.json("config", "show")
    assert shown["policy"]["risk"]["max_total_pct"] == "25"
    assert desk.run("config", "show", "policy") == 0
    assert "policy.yaml: risk.max_total_pct = 25" in desk.out
    assert "universe.yaml" not in desk.out
    assert desk.run("config", "show", "rules") == 0
    assert desk.out.startswith("any_volume: on a volume spike (ratio_1h_vs_24h 0.1), buys")
    assert list(desk.json("config", "show", "rules")) == ["any_volume"]
    assert desk.run("config", "hash") == 0
    assert len(desk.out.strip()) == 64
    newer = write_config(tmp_path / "newer", {**EAGER, "risk": {"cooldown_minutes": 0, "max_total_pct": 40}}, UNIVERSE)
    assert desk.run("config", "diff", str(newer)) == 0
    assert "policy.yaml: risk.max_total_pct: 25 -> 40" in desk.out
    assert "a live reload would refuse: policy.yaml: risk.max_total_pct: 25 -> 40: may only fall" in desk.out
    assert desk.json("config", "diff", str(newer))["changes"] == [
        {"key": "policy.yaml: risk.max_total_pct", "from": "25", "to": "40"}
    ]
    assert desk.run("config", "diff") == 0
    assert "policy.yaml: conviction.min_conviction: 0.3 -> 0" in desk.out
    assert desk.run("config", "schema", "policy") == 0
    assert json.loads(desk.out)["title"] == "policy.yaml"


def test_a_key_that_is_gone_is_a_difference_too():
    assert dict(differences({"policy": {"a": "1", "b": {"c": "2"}}}, {"policy": {"a": "1"}})) == {
        "policy.yaml: b.c": ("2", "-")
    }


# ---------------------------------------------------------------------------------------------------------- alert-test


def test_an_alert_arrives_with_the_code_that_proves_a_person_saw_it(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    assert desk.run("alert-test") == 0
    assert desk.out == "127.0.0.1: delivered\n"
    (body,) = sim.do(lambda controls: [body for _, body in controls.alerts.received])
    assert body.keys() == {"id", "fingerprint", "severity", "state", "title", "detail", "ts", "env", "mode"}
    assert (body["fingerprint"], body["env"], body["mode"]) == ("alert-test", "staging", "live")
    code = body["detail"].split()[-1]
    assert desk.run("alert-test", "--acknowledge", code) == 0
    assert "a person reads it" in desk.out


def test_a_channel_that_does_not_take_the_alert_is_told_without_its_secret(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    desk.environ["ALERT_WEBHOOK_URL"] += "/no-such-token-1234567890"
    assert desk.run("alert-test") == 1
    assert "NOT delivered: HTTP_404" in desk.out
    assert "1234567890" not in desk.out + desk.err
    assert desk.run("alert-test", "--acknowledge", "abcdef") == 1
    assert "run `bot alert-test` first" in desk.err


def test_without_an_address_there_is_nothing_to_try(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    del desk.environ["ALERT_WEBHOOK_URL"]
    assert desk.run("alert-test") == 3
    assert "set ALERT_WEBHOOK_URL" in desk.err


# --------------------------------------------------------------------------------------------------- the real process


def test_the_real_process_answers_like_the_verb(traded):
    done = traded.process("status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == traded.json("status")
    bad = traded.process("explain", "20200101T000000.000-1")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("bot: nothing is known of cycle")


def test_watching_prints_a_line_a_look_and_ends_well_on_ctrl_c(traded):
    command = [sys.executable, "-m", "bot", "status", "--watch", "--json"]
    with subprocess.Popen(command, env=traded.clean(), text=True, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    assert looks[0] == looks[1]


def test_a_reader_that_went_away_is_no_traceback(traded):
    command = f"{sys.executable} -m bot journal tail -n 1000 --json | head -n 1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=traded.clean(), text=True, capture_output=True, timeout=60, check=False
    )
    assert json.loads(done.stdout)["seq"] == 1
    assert "Traceback" not in done.stderr


def test_following_the_journal_shows_new_events_as_they_come(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with bot_of(desk) as app:
        app.loop.run_cycle()
        command = [sys.executable, "-m", "bot", "journal", "tail", "-n", "1", "--follow", "--topic", "run.", "--json"]
        with subprocess.Popen(command, env=desk.clean(), text=True, stdout=subprocess.PIPE) as following:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["topic"] == "run.started"
            app.loop.stop("seen enough")
            app.loop.run()
            assert json.loads(following.stdout.readline())["topic"] == "run.stopped"
            following.send_signal(signal.SIGINT)
            assert following.wait(20) == 0


def test_output_onto_a_full_disk_is_one_plain_line(tmp_path):
    write_config(tmp_path / "config")
    command = [sys.executable, "-m", "bot", "config", "show", "--config-dir", str(tmp_path / "config")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "bot: the output cannot be written: No space left on device\n"


def test_watching_into_a_pipe_prints_page_after_page(traded):
    command = [sys.executable, "-m", "bot", "status", "--watch"]
    with subprocess.Popen(command, env=traded.clean(), text=True, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        heads = 0
        while heads < 2:
            heads += watching.stdout.readline().startswith("staging live: not running")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0


def test_a_person_who_starts_the_bot_is_told_what_begins_and_how_to_end_it(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    assert desk.run("run", "--once") == 0
    first = desk.err.splitlines()[0]
    assert first.startswith(f"bot: staging live on {sim.rest_url}, state in {desk.state_dir}, no pages")
    assert first.endswith("Ctrl-C ends it")
    assert desk.run("run", "--once", "--log", "json") == 0
    assert all(line.startswith("{") for line in desk.err.splitlines()), "a log for machines holds nothing else"


@pytest.mark.parametrize("words", ["orders", "positions", "fills", "bans", "journal tail", "status"])
def test_an_empty_list_from_a_folder_no_bot_has_run_in_is_told_apart_from_an_empty_account(words, tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    assert desk.run(*words.split()) == 0
    assert f"no bot has run in {desk.state_dir} yet: check --mode" in desk.err


def test_state_of_another_mode_is_named_where_this_one_has_none(traded):
    assert traded.run("orders", "--mode", "paper") == 0
    assert "yet: there is state of --mode live" in traded.err


def test_nothing_is_explained_or_proven_where_nothing_was_decided(tmp_path):
    desk = desk_at(tmp_path, mode="paper")
    assert desk.run("explain", "last") == 1
    assert "nothing has been decided there yet" in desk.err
    assert desk.run("journal", "verify") == 1
    assert "there is no journal in" in desk.err
