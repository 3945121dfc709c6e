"""Controls around the process: who may run, what is kept, what an operator sees and may ask."""

from __future__ import annotations

from typing import Final

from tests.docs.control import Control

OPERATION: Final = (
    Control(
        "single-instance lock",
        "Held by the kernel for the process's life, looked at again before every cycle; a second start ends within "
        "two seconds and names the holder. Working orders with our prefix that the journal does not know mean another "
        "machine: halted until an operator says otherwise.",
        tests=(
            "adapters/test_lock.py::test_a_second_instance_is_refused_within_two_seconds_and_told_who_runs",
            "adapters/test_lock.py::test_of_many_starts_in_the_same_instant_exactly_one_trades",
            "adapters/test_lock.py::test_a_lock_file_that_was_replaced_is_not_held_any_more",
            "loop/test_running.py::test_the_lock_that_was_taken_away_ends_the_bot_before_it_looks_at_anything",
            "loop/test_account.py::test_an_order_of_another_instance_halts_until_an_operator_says_otherwise",
            "process/test_starts.py::test_of_two_starts_in_one_moment_one_runs_and_the_other_names_it",
        ),
        faults=("F096",),
        metrics=("bot_halts",),
        alerts=("halt.*",),
    ),
    Control(
        "inbox verbs",
        "The daemon is the journal's only writer: a verb that changes state drops a command, which is carried out "
        "once, between cycles, and answered; what makes no sense is refused with the way out.",
        tests=(
            "record/test_commands.py::test_a_flag_bans_for_the_hours_given_or_configured",
            "record/test_commands.py::test_nothing_is_adopted_that_is_not_there_or_cannot_be_valued",
            "cli/test_commands.py::test_a_running_daemon_bans_and_unbans_within_seconds",
            "cli/test_commands.py::test_what_makes_no_sense_is_refused_with_the_way_out",
            "cli/test_commands.py::test_without_a_daemon_a_command_waits_and_is_carried_out_at_the_next_start",
            "cli/test_commands.py::test_a_latch_and_a_quarantine_end_on_an_operators_word",
            "loop/test_account.py::test_a_command_is_carried_out_once_though_it_is_dropped_twice",
            "adapters/test_inbox.py::test_a_file_that_is_no_command_is_refused_and_does_not_hold_up_the_others",
        ),
        metrics=("bot_commands_total",),
    ),
    Control(
        "latency accounting",
        "Every stage of a cycle and every call is timed; every call ends by a total deadline, a cycle has a budget, "
        "and the watchdog is fed by stages that were completed.",
        tests=(
            "adapters/coinbase/test_calls.py::test_a_call_is_told_with_the_time_it_took",
            "loop/test_running.py::test_every_stage_of_a_cycle_is_timed",
            "adapters/coinbase/test_exchange.py::test_a_call_and_its_retries_end_by_the_total_deadline",
            "adapters/coinbase/test_lanes.py::test_a_sent_request_without_answer_is_torn_at_its_deadline",
            "adapters/coinbase/test_transport.py::test_a_body_that_drips_is_cut_off_at_the_deadline",
            "systemd/test_units.py::test_a_hang_is_ended_by_a_watchdog_that_waits_longer_than_a_healthy_loop_ever_does",
        ),
        keys=(
            "loop.cycle_budget_seconds",
            "transport.connect_timeout_seconds",
            "transport.read_timeout_seconds",
            "transport.total_deadline_seconds",
        ),
        faults=("F006", "F008", "F098", "F099"),
        metrics=("bot_cycle_seconds", "bot_api_seconds"),
        alerts=("cycle.slow",),
    ),
    Control(
        "jittered schedule",
        "Cycles lie on a grid just after bars have closed, give or take a jitter; what was overrun is skipped and "
        "counted, and events wake the loop with a distance that grows while nothing comes of it.",
        tests=(
            "loop/test_running.py::test_scheduled_cycles_come_just_after_bars_close",
            "loop/test_running.py::test_jitter_never_comes_before_the_bar_has_closed",
            "loop/test_running.py::test_cycles_that_were_overrun_are_skipped_and_counted",
            "loop/test_running.py::test_service_cycles_keep_their_distance_in_a_storm_of_events",
        ),
        keys=("loop.interval_seconds", "loop.jitter_pct", "data.bar_close_lag_seconds"),
        metrics=("bot_cycle_overruns_total", "bot_cycles_total"),
    ),
    Control(
        "snapshot generations and torn tails",
        "State is a fold over a hash-chained journal, written beside and renamed, read back, two generations kept. A "
        "torn end is cut and told; damage in front of something that was safe, newer code's state, another account's, "
        "or a journal behind its snapshot start halted with the originals untouched.",
        tests=(
            "record/test_crash_points.py::test_killed_at_every_operation_nothing_that_was_recorded_is_lost",
            "record/test_recovery.py::test_a_line_torn_at_any_byte_is_cut_and_everything_before_it_stands",
            "record/test_recovery.py::test_damage_in_front_of_a_durable_event_is_no_torn_end",
            "record/test_recovery.py::test_a_damaged_snapshot_falls_back_a_generation_and_nothing_is_lost",
            "record/test_recovery.py::test_state_of_newer_code_or_another_account_is_refused_even_with_an_older_one_at_hand",
            "adapters/test_storage.py::test_three_generations_of_the_state_are_kept_newest_first",
            "loop/test_failures.py::test_books_that_cannot_be_trusted_start_halted_and_change_nothing",
            "process/test_starts.py::test_corrupt_state_falls_back_a_generation_and_then_starts_halted",
        ),
        keys=("state.retention_days",),
        faults=("F084", "F085", "F087", "F088", "F090"),
        metrics=("bot_halts", "bot_alerts_total"),
        alerts=("state.corrupt", "state.recovered", "storage.failed"),
    ),
    Control(
        "dry-run shadow",
        "Real market data and full decisions on an embedded account opened with the real balances; the adapter it is "
        "given has no way to change anything at the venue. `bot shadow` sets it beside live, trade by trade: intended, "
        "would have filled, really got.",
        tests=(
            "test_app.py::test_a_mode_that_sends_nothing_holds_nothing_that_could",
            "ops/test_shadow.py::test_the_same_decision_of_both_is_one_row_with_three_columns",
            "ops/test_shadow.py::test_totals_charge_what_live_filled_at_the_shadows_price",
            "adapters/coinbase/test_exchange.py::test_a_reader_has_no_way_to_trade",
            "adapters/coinbase/test_transport.py::test_a_session_for_readers_cannot_post",
            "adapters/test_paper.py::test_a_shadow_opens_with_what_the_real_account_holds_and_then_lives_by_itself",
            "settings/test_matrix.py::test_what_may_start",
        ),
        keys=("paper.starting_cash", "backtest.fill_model"),
        metrics=("bot_equity_usd",),
    ),
    Control(
        "paper account across restarts",
        "The embedded account's balances, orders and fills are kept on the disk and go on where they were; bytes that "
        "cannot be trusted are refused, never replaced by a fresh opening.",
        tests=(
            "adapters/test_paper.py::test_what_was_bought_and_what_rests_goes_on_after_a_restart",
            "adapters/test_paper.py::test_a_kept_account_that_cannot_be_trusted_is_no_reason_for_new_money",
            "venue/test_memento.py::test_a_restart_changes_nothing_that_happens_afterwards",
            "venue/test_memento.py::test_kept_bytes_that_cannot_be_trusted_are_refused",
            "venue/test_memento.py::test_bytes_that_are_no_account_are_refused",
        ),
        keys=("paper.starting_cash",),
        metrics=("bot_equity_usd",),
    ),
    Control(
        "ENV, mode, key and venue; key permissions",
        "One table says what may start where, with which key, at which venue; live wants a certificate in production. "
        "The key may view and trade, must not transfer, sees the expected portfolio, and is looked at again every "
        "hour.",
        tests=(
            "settings/test_matrix.py::test_no_cell_of_the_table_is_empty",
            "settings/test_matrix.py::test_what_may_start",
            "adapters/coinbase/test_gates.py::test_a_key_with_the_wrong_powers_is_refused",
            "adapters/coinbase/test_gates.py::test_a_key_of_another_portfolio_is_refused_when_one_is_expected",
            "loop/test_refusals.py::test_a_key_that_changed_its_powers_stops_entries_within_the_hour",
            "process/test_starts.py::test_a_key_the_exchange_refuses_is_exit_five",
            "test_app.py::test_only_live_gets_the_adapter_that_trades_and_never_without_a_key",
            "cli/test_checking.py::test_live_in_production_refuses_without_a_certificate_and_lists_what_certify_misses",
        ),
        keys=("governance.key_check_minutes", "governance.portfolio_id"),
        faults=("F014", "F112", "F118"),
        metrics=("bot_halts",),
        alerts=("halt.*", "start.exit_only"),
        gates=("environment",),
    ),
    Control(
        "configuration ratchet and launch certificate",
        "Unknown keys, duplicates, aliases and contradictions refuse the start, all at once; a live reload may only "
        "tighten. A certificate binds configuration, code, this table, venue and portfolio, and expires.",
        tests=(
            "loop/test_running.py::test_a_reload_reaches_everything_that_judges_what_is_read",
            "test_app.py::test_a_reload_reaches_what_lies_outside_the_loop",
            "settings/test_load.py::test_every_problem_of_both_files_is_said_at_once",
            "settings/test_strict_yaml.py::test_references_and_duplicates_are_refused",
            "settings/test_sanity.py::test_a_contradiction_is_refused_with_its_numbers",
            "settings/test_reload.py::test_every_loosened_key_is_named_with_both_values",
            "settings/test_certificate.py::test_a_tighter_configuration_stays_certified_and_a_looser_one_does_not",
            "settings/test_certificate.py::test_time_code_and_portfolio_bind_it",
            "cli/test_proofs.py::test_whatever_must_never_happen_spoils_a_rehearsal",
            "cli/test_proofs.py::test_an_alert_proves_the_channel_it_went_through_and_not_for_ever",
            "settings/test_certificate.py::test_a_certificate_is_good_for_the_table_of_controls_it_was_issued_under",
            "process/test_leaving.py::test_a_reload_may_tighten_never_loosen_and_survives_nonsense",
        ),
        keys=("governance.rehearsal_hours", "governance.certificate_days", "governance.canary_hours"),
        faults=("F107", "F108", "F110"),
        metrics=("bot_build_info",),
        alerts=("config.invalid", "config.looser", "config.loaded", "start.exit_only"),
    ),
    Control(
        "alerts and outbox",
        "On the disk before anything is sent, delivered by a thread of its own, to https addresses that were named; "
        "folded, escalated, resolved; nothing CRITICAL is dropped, and a full disk has it sent from memory.",
        tests=(
            "ops/test_alerts.py::test_an_alert_is_on_disk_and_in_the_journal_before_anything_is_sent",
            "ops/test_alerts.py::test_an_unresolved_alert_escalates_once",
            "ops/test_alerts.py::test_a_full_outbox_drops_the_oldest_and_counts_it",
            "ops/test_alerts.py::test_a_full_outbox_keeps_what_is_critical_however_old_it_is",
            "adapters/test_webhook.py::test_a_receiver_that_fails_keeps_the_message_waiting",
            "adapters/test_webhook.py::test_a_hanging_receiver_never_delays_the_caller",
            "adapters/test_webhook.py::test_dangerous_addresses_are_never_called",
            "process/test_hostile_world.py::test_a_full_disk_halts_cancels_and_is_heard_and_ends_by_itself",
        ),
        keys=(
            "alerts.dedupe_seconds",
            "alerts.escalate_after_seconds",
            "alerts.allowed_hosts",
            "alerts.outbox_limit",
        ),
        faults=("F102", "F117"),
        metrics=("bot_alerts_total", "bot_alerts_lost_total"),
        alerts=("alert-test",),
    ),
    Control(
        "secrets, files and redaction",
        "Secrets come from the environment or systemd alone and leave no trace in any sink, by value, key or shape. "
        "Files are private and never reached through a link; no proxy, redirect, netrc or unverified certificate.",
        tests=(
            "ops/test_redact.py::test_known_secrets_disappear_in_every_listed_form",
            "ops/test_redact.py::test_tracebacks_are_cleaned_like_everything_else",
            "settings/test_strict_yaml.py::test_a_secret_is_refused_by_file_and_line_and_never_shown",
            "adapters/test_storage_files.py::test_files_are_private_under_any_umask",
            "adapters/test_storage_files.py::test_staging_starts_but_never_reads_or_writes_through_a_link",
            "adapters/coinbase/test_transport.py::test_proxies_bundles_netrc_and_key_logs_of_the_environment_are_ignored",
            "adapters/coinbase/test_transport.py::test_a_redirect_is_an_error_and_never_followed",
            "adapters/coinbase/test_feed.py::test_a_certificate_for_another_host_is_refused",
            "adapters/coinbase/test_transport.py::test_an_old_version_of_tls_is_refused_before_a_byte_leaves",
            "process/test_hostile_world.py::test_no_secret_stands_in_anything_it_wrote",
        ),
        faults=("F010", "F011", "F113", "F115", "F116", "F120"),
    ),
    Control(
        "backtest gate",
        "A short backtest of the present configuration through the same loop: no crash, no impossible figure, no "
        "residual, no cap exceeded, nothing left unexercised, no drift from the committed baseline.",
        tests=(
            "backtest/test_gate.py::test_a_configuration_that_never_trades_is_red_and_cannot_become_the_baseline",
            "backtest/test_gate.py::test_a_figure_may_move_by_two_percent_and_no_more",
            "backtest/test_gate.py::test_a_verdict_without_a_single_run_is_no_pass",
            "backtest/test_gate.py::test_the_shipped_configuration_passes_and_its_result_serves_the_launch_certificate",
            "backtest/test_audit.py::test_what_was_tampered_with_is_found",
            "backtest/test_audit.py::test_no_check_goes_without_something_it_objects_to",
            "backtest/test_skipping.py::test_a_week_trades_alike_with_and_without_skipping",
        ),
        keys=("backtest.fill_model", "backtest.participation_pct", "backtest.latency_bars"),
    ),
)
