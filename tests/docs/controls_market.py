"""Controls over what is believed of the account and the markets."""

from __future__ import annotations

from typing import Final

from tests.docs.control import Control

MARKET: Final = (
    Control(
        "fail-closed gating",
        "A missing, malformed, partial or contradictory piece ends the cycle without a trade and with its reason; an "
        "unknown figure permits nothing; a journal that cannot be written stops entries and takes ours back. A failed "
        "read is never evidence of absence.",
        tests=(
            "loop/test_refusals.py::test_a_read_that_fails_ends_the_cycle_without_a_trade",
            "loop/test_failures.py::test_a_full_disk_stops_entries_cancels_them_and_is_told",
            "loop/test_failures.py::test_whichever_write_fails_no_order_is_lost_and_none_doubled",
            "risk/test_gates.py::test_every_reason_a_gate_can_give_has_a_case_here",
            "risk/test_engine.py::test_no_entry_passes_on_equity_that_is_not_positive",
            "observe/test_reconcile.py::test_an_order_the_venue_does_not_show_is_missing_not_cancelled",
            "adapters/coinbase/test_transport.py::test_a_body_that_is_not_one_strict_json_object_is_never_believed",
            "process/test_hostile_world.py::test_nonsense_for_balances_is_no_trade_and_counted",
        ),
        keys=("data.max_stale_fraction", "risk.breakers.api_errors"),
        faults=("F015", "F017", "F018", "F035", "F081", "F087"),
        metrics=("bot_no_trade_total", "bot_cycles_total", "bot_halts"),
        alerts=("storage.failed", "halt.*"),
        gates=("data_freshness", "environment"),
        breakers=("api_errors", "exceptions"),
    ),
    Control(
        "staleness at decision and at send",
        "A quote's age counts from the last evidence that it holds: too old, its product is skipped; too many of "
        "them, nothing is traded. At the send the age is looked at again, and that look may refuse and never "
        "re-price.",
        tests=(
            "loop/test_refusals.py::test_stale_quotes_are_not_traded_on",
            "observe/test_markets.py::test_a_quote_is_used_up_to_its_limit_and_not_a_moment_longer",
            "loop/test_refusals.py::test_a_quote_that_grew_old_between_approval_and_request_refuses_the_order",
            "execution/test_halting.py::test_an_old_quote_is_refused_at_the_send",
            "execution/test_halting.py::test_a_price_that_left_the_collar_is_refused_and_not_repriced",
            "adapters/coinbase/test_feed.py::test_a_heartbeat_on_a_whole_connection_renews_the_evidence",
            "adapters/coinbase/test_feed.py::test_a_gap_voids_the_book_and_asks_for_it_again",
            "adapters/coinbase/test_feed.py::test_after_a_silence_data_alone_does_not_bring_trust_back",
            "adapters/coinbase/test_market_data.py::test_a_stale_feed_falls_back_to_rest",
            "loop/test_failures.py::test_a_feed_that_stays_down_is_told_once_and_its_return_too",
        ),
        keys=("data.max_quote_staleness_seconds", "data.max_stale_fraction"),
        faults=("F023", "F070"),
        metrics=("bot_no_trade_total", "bot_excluded"),
        alerts=("halt.*", "feed.*"),
        gates=("data_freshness",),
        breakers=("stale_data",),
    ),
    Control(
        "canonical symbols and the USD/USDC alias",
        "One maker of product ids, garbage refused; one market key for the two names of a book, and two wallets: caps "
        "count the coin once, the ledger counts dollars and USDC apart.",
        tests=(
            "domain/test_product.py::test_every_usual_spelling_is_the_same_product",
            "domain/test_product.py::test_garbage_is_no_product",
            "domain/test_money.py::test_dollars_and_usdc_are_two_currencies",
            "risk/test_exposure.py::test_an_alias_pair_is_one_coin",
            "risk/test_engine.py::test_a_usdc_listing_is_paid_from_the_usdc_wallet_and_capped_in_dollars",
            "record/test_fold.py::test_a_usdc_pair_moves_the_usdc_wallet_and_the_one_position",
            "execution/test_lifecycle.py::test_the_same_order_under_the_id_of_its_alias_is_the_same",
        ),
        keys=("portfolio.quote_currency", "portfolio.stable_values", "universe.yaml: quote_currencies"),
        faults=("F043", "F077"),
        metrics=("bot_ledger_residual",),
    ),
    Control(
        "time: UTC, monotonic durations, bar windows, gaps",
        "UTC period ids and monotonic durations; no decision reads a clock. Windows are whole numbers of closed bars; "
        "a quiet minute is carried and flagged, time that was not fetched is a gap and is never filled. Skew against "
        "the exchange warns, then stops entries.",
        tests=(
            "test_architecture.py::test_every_file_keeps_the_rules",
            "test_decide.py::test_the_same_snapshot_gives_the_same_decision_byte_for_byte",
            "adapters/coinbase/test_market_data.py::test_an_outage_leaves_a_gap_that_is_fetched_and_never_filled",
            "adapters/coinbase/test_market_data.py::test_a_quiet_minute_is_filled_and_a_late_bar_mends_it",
            "triggers/test_windows.py::test_a_window_never_depends_on_what_lies_around_it",
            "observe/test_markets.py::test_bars_are_used_up_to_their_limit_after_the_next_should_have_closed",
            "observe/test_skew.py::test_a_slow_answer_alone_is_never_skew",
            "loop/test_refusals.py::test_a_drifting_clock_warns_then_stops_entries",
            "record/test_store.py::test_a_clock_that_steps_back_over_midnight_keeps_the_files_in_order",
        ),
        keys=(
            "data.bar_granularity",
            "data.bar_close_lag_seconds",
            "data.max_bar_staleness_seconds",
            "clock.warn_ms",
            "clock.no_entries_ms",
            "clock.refuse_ms",
        ),
        faults=("F025", "F075", "F104", "F105"),
        metrics=("bot_halts", "bot_excluded"),
        alerts=("clock.drift", "halt.*"),
        gates=("clock",),
    ),
    Control(
        "partial snapshots and pagination traps",
        "All pages or nothing: a page that fails voids the list, repeated cursors and endless pages are refused, "
        "every unfinished status is asked for, and an account that suddenly reads zero everywhere is not believed.",
        tests=(
            "adapters/coinbase/test_exchange.py::test_a_failing_page_voids_all_balances",
            "adapters/coinbase/test_exchange.py::test_endless_pages_are_refused",
            "adapters/coinbase/test_exchange.py::test_fills_under_a_repeated_cursor_are_not_believed_complete",
            "adapters/coinbase/test_exchange.py::test_an_order_in_any_unfinished_status_is_seen",
            "contract/test_wire_faults.py::test_a_list_whose_second_page_fails_is_no_list",
            "observe/test_reconcile.py::test_a_failed_page_voids_the_whole_read",
            "observe/test_reconcile.py::test_an_account_that_suddenly_reads_all_zero_is_refused",
        ),
        keys=("transport.max_body_bytes", "transport.read_attempts"),
        faults=("F018", "F026", "F037"),
        metrics=("bot_api_requests_total", "bot_no_trade_total"),
        alerts=("halt.*",),
        breakers=("api_errors",),
    ),
    Control(
        "bad ticks against crashes",
        "A price far from the last accepted one is held back until volume and book, or several bars in a row, confirm "
        "it; nonsense is rejected outright and counted. A real crash is acted on within its minute, a tenfold print "
        "never, and a stop needs several quotes in a row.",
        tests=(
            "observe/test_ticks.py::test_a_single_bad_print_changes_nothing",
            "observe/test_ticks.py::test_a_tenfold_quote_is_never_confirmed_by_quotes_however_often_it_comes",
            "observe/test_ticks.py::test_nonsense_is_rejected_outright_and_counted",
            "observe/test_ticks.py::test_a_real_fall_is_acted_on_within_its_own_minute",
            "observe/test_ticks.py::test_nothing_beyond_the_limit_is_accepted_without_confirmation",
            "rules/test_exits.py::test_one_odd_print_below_the_stop_sells_nothing",
            "loop/test_refusals.py::test_a_tenfold_print_sells_nothing_and_a_tenth_neither",
        ),
        keys=(
            "data.max_price_deviation_pct",
            "data.confirm_updates",
            "data.confirm_window_ms",
            "data.confirm_bars",
            "data.min_volume_ratio",
            "exits.stop_confirmations",
        ),
        faults=("F072", "F073", "F074"),
        metrics=("bot_bad_ticks_total", "bot_excluded"),
    ),
    Control(
        "provenance of NLV",
        "Every part of equity names its source: cash, stable coin, quote, last good price, unpriced. A part without a "
        "price, or with one too old, makes the whole unknown, and then nothing is sized and no stop is judged.",
        tests=(
            "observe/test_valuation.py::test_a_coin_without_a_price_makes_the_value_unknown_not_smaller",
            "observe/test_valuation.py::test_an_old_price_serves_for_a_while_and_then_no_longer",
            "observe/test_valuation.py::test_a_coin_no_product_prices_is_named_and_left_out",
            "rules/test_sizing.py::test_unknown_or_empty_equity_sizes_nothing",
            "loop/test_account.py::test_a_holding_without_a_price_makes_equity_unknown_and_nothing_is_sized",
        ),
        keys=("data.unpriced_after_seconds", "portfolio.stable_values"),
        faults=("F042", "F079"),
        metrics=("bot_equity_usd", "bot_halts"),
        alerts=("halt.*",),
        gates=("data_freshness",),
    ),
    Control(
        "cold start",
        "The first complete read anchors the books. Coins that are there already get the lots of the fills that "
        "explain them exactly, else the first mark, are labelled so, and are counted and never sold until `bot "
        "adopt`. Missing books beside working orders of ours start halted.",
        tests=(
            "loop/test_account.py::test_coins_from_before_are_counted_and_never_sold",
            "loop/test_account.py::test_coins_whose_purchase_shows_in_the_fills_get_its_cost",
            "loop/test_account.py::test_missing_books_while_the_venue_shows_orders_with_our_prefix_start_halted",
            "observe/test_ledger.py::test_the_first_sweep_anchors_every_wallet",
            "observe/test_coldstart.py::test_a_holding_its_fills_do_not_explain_starts_at_the_first_mark_and_says_so",
            "observe/test_coldstart.py::test_the_opening_knows_every_past_fill_so_that_none_is_booked_again",
        ),
        keys=("state.rebuild_days",),
        faults=("F090",),
        metrics=("bot_halts",),
        alerts=("halt.*",),
    ),
    Control(
        "ledger equation",
        "Per currency and since an anchor: opening balance + fills - fees + transfers = available + hold. A "
        "difference is pending, and nothing is entered, until it is gone or stood still long enough, over enough "
        "sweeps, with no order of ours moving and no opposite difference elsewhere, to be a transfer.",
        tests=(
            "observe/test_ledger.py::test_a_new_difference_is_pending_and_restates_nothing",
            "observe/test_ledger.py::test_a_deposit_needs_both_time_and_sweeps",
            "observe/test_ledger.py::test_a_transfer_is_told_with_the_equity_as_it_was_without_it",
            "record/test_fold_fills.py::test_every_wallet_moves_by_what_its_fills_traded_and_cost",
            "observe/test_ledger.py::test_opposite_differences_look_like_an_unseen_trade_and_stay_pending",
            "record/test_fold_fills.py::test_the_books_balance_to_the_last_digit_after_every_fill",
            "loop/test_account.py::test_an_unexplained_difference_keeps_entries_out_and_restates_nothing",
        ),
        keys=("state.transfer_after_seconds", "state.transfer_after_sweeps"),
        faults=("F052", "F061", "F062"),
        metrics=("bot_ledger_residual", "bot_halts"),
        alerts=("halt.*", "mismatch.*"),
        breakers=("reconcile_mismatch",),
    ),
    Control(
        "foreign orders, trades and transfers",
        "Orders we did not place are counted and never touched. A trade or a coin nobody of us moved quarantines its "
        "product until `bot adopt` or `bot ignore`. A deposit or withdrawal moves equity, peak and stops with it and "
        "is neither profit nor loss.",
        tests=(
            "loop/test_account.py::test_a_persons_order_is_counted_and_never_touched",
            "loop/test_account.py::test_a_foreign_trade_quarantines_its_product_and_nothing_else",
            "loop/test_account.py::test_a_deposit_or_withdrawal_moves_neither_profit_nor_drawdown",
            "execution/test_halting.py::test_orders_of_other_people_are_never_cancelled",
            "execution/test_exits.py::test_coins_sold_by_a_person_are_not_sold_again",
            "risk/test_exposure.py::test_a_foreign_buy_that_cannot_be_valued_makes_the_whole_unknown",
            "domain/test_holdings.py::test_a_hidden_sell_shows_in_the_hold",
        ),
        keys=("state.transfer_after_seconds",),
        faults=("F060", "F061"),
        metrics=("bot_exposure_pct", "bot_rejections_total"),
        alerts=("quarantine.*",),
        gates=("quarantine",),
    ),
    Control(
        "rate budgets",
        "Requests a second by class and an hour by key, never exceeded in any window; a fifth is kept for cancels, "
        "exits and reconciles. Retry-After is obeyed up to a cap; one 401 is signed anew, a second one is degraded "
        "access: exits only. A planner refuses a universe that does not fit.",
        tests=(
            "adapters/coinbase/test_calls.py::test_every_request_is_counted_and_timed_and_leaves_less_of_the_budget",
            "adapters/coinbase/test_budget.py::test_a_tighter_rate_binds_at_once_and_counts_what_was_sent_before",
            "adapters/coinbase/test_budget.py::test_no_rolling_second_ever_holds_more_than_the_rate",
            "adapters/coinbase/test_budget.py::test_reads_leave_the_reserve_to_cancels",
            "adapters/coinbase/test_budget.py::test_the_hourly_budget_binds_both_classes",
            "adapters/coinbase/test_budget.py::test_after_a_429_nothing_of_that_class_is_sent_before_the_wait",
            "adapters/coinbase/test_budget.py::test_an_absurd_retry_after_is_capped",
            "adapters/coinbase/test_exchange.py::test_too_many_errors_is_throttling_and_not_a_dead_key",
            "contract/test_wire_faults.py::test_one_401_is_no_dead_key",
            "loop/test_refusals.py::test_a_refused_key_leaves_exits_only_and_is_critical",
            "adapters/coinbase/test_planner.py::test_a_universe_that_cannot_be_watched_says_which_budget_breaks",
        ),
        keys=(
            "rate_limits.public_per_second",
            "rate_limits.private_per_second",
            "rate_limits.hourly",
            "rate_limits.reserve_pct",
            "rate_limits.max_wait_seconds",
            "rate_limits.endpoints",
        ),
        faults=("F013", "F014", "F067"),
        metrics=("bot_rate_budget_left", "bot_api_requests_total"),
        alerts=("halt.*",),
        breakers=("rate_limited",),
    ),
)
