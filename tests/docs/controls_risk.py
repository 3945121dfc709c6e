"""Controls that decide what may be traded and how much."""

from __future__ import annotations

from typing import Final

from tests.docs.control import Control

RISK: Final = (
    Control(
        "pending exposure caps",
        "Per asset, per theme and in total: what is held, plus every open or UNKNOWN buy at its limit with the worst "
        "fee, other people's orders included, plus what this cycle approved before. A budget per rule and a number of "
        "positions beside them; what does not fit is cut or refused. The first live hours have a share of every cap.",
        tests=(
            "risk/test_exposure.py::test_a_buy_that_may_still_fill_counts_at_its_limit_with_its_fee",
            "risk/test_exposure.py::test_a_holding_without_a_price_makes_the_whole_unknown_and_a_coin_without_a_market_does_not",
            "risk/test_engine.py::test_risk_never_lifts_exposure_past_a_cap",
            "risk/test_engine.py::test_each_proposal_sees_those_approved_before_it",
            "risk/test_engine.py::test_one_more_open_order_never_allows_more",
            "risk/test_gates.py::test_clamps_compose_and_the_smallest_wins",
            "risk/test_gates.py::test_the_fullest_of_a_coins_themes_decides",
            "risk/test_gates.py::test_a_canary_has_only_its_share_of_every_cap",
            "loop/test_canary.py::test_the_hours_count_from_the_first_start_and_go_on_over_restarts",
            "loop/test_canary.py::test_an_entry_fits_its_share_of_the_cap_until_the_hours_are_over",
        ),
        keys=(
            "risk.max_per_asset_pct",
            "risk.max_per_theme_pct",
            "risk.max_total_pct",
            "risk.max_open_positions",
            "rules.*.budget_pct",
            "universe.yaml: themes",
            "governance.canary_hours",
            "governance.canary_scale_pct",
        ),
        faults=("F001", "F029", "F043", "F060", "F066", "F081"),
        metrics=("bot_exposure_pct", "bot_clamps_total", "bot_rejections_total", "bot_unknown_orders"),
        alerts=("unknown.*",),
        gates=("rule_budget", "position_count", "per_asset_cap", "theme_cap", "total_cap"),
    ),
    Control(
        "circuit breakers",
        "Each counts its hits in a window, trips at a threshold, cools off or latches, and declares what goes on "
        "meanwhile: stale data, API errors, rate limits, exchange status, product status, volatility (a crash), "
        "rejected orders, exceptions, slippage, reconcile mismatches, fees above those assumed. One about a product "
        "stops that product alone. A crash regime opens nothing, whatever the policy says.",
        tests=(
            "risk/test_breakers.py::test_it_trips_at_the_threshold_and_not_before",
            "risk/test_breakers.py::test_it_closes_by_itself_after_its_cool_off",
            "risk/test_breakers.py::test_one_that_latches_stays_open_until_an_operator_resets_it",
            "risk/test_breakers.py::test_a_crash_of_one_coin_stops_that_coin_and_one_of_the_leader_stops_everything",
            "risk/test_breakers.py::test_only_a_stated_outage_opens_the_status_breaker",
            "risk/test_breakers.py::test_a_restricted_product_opens_its_own_breaker_and_stays_shut_a_while_after",
            "risk/test_breakers.py::test_too_many_stale_markets_count_towards_the_stale_breaker",
            "loop/test_refusals.py::test_a_burst_of_failed_reads_opens_the_breaker_takes_entries_back_and_tells",
            "loop/test_failures.py::test_a_burst_of_mistakes_opens_the_breaker",
            "loop/test_breakers_fed.py::test_each_mishap_is_one_hit_of_its_own_breaker",
            "rules/test_sizing.py::test_a_crash_opens_nothing_whatever_the_policy_says",
        ),
        keys=("risk.breakers", "exchange_status.stop_entries", "exchange_status.levels", "regime.crash_return_pct"),
        faults=("F013", "F040", "F045", "F049", "F070", "F074"),
        metrics=("bot_breaker_open", "bot_halts", "bot_rejections_total", "bot_api_requests_total"),
        alerts=("halt.*", "rejected.*", "mismatch.*"),
        gates=("circuit_breakers", "exchange_status"),
        breakers=(
            "stale_data",
            "api_errors",
            "rate_limited",
            "exchange_status",
            "product_status",
            "volatility",
            "rejections",
            "exceptions",
            "slippage",
            "reconcile_mismatch",
            "fee_above_assumed",
        ),
    ),
    Control(
        "kill switch",
        "Anything at its path but a clean absence halts: looked at by a thread of its own, at each cycle's start and "
        "in the last function before every order. Working entries are cancelled until two sweeps are clean, stops "
        "stay unless the policy says otherwise, and trading resumes after one clean reconcile.",
        tests=(
            "adapters/test_kill.py::test_anything_else_at_the_path_halts",
            "adapters/test_kill.py::test_a_dead_mount_halts_in_bounded_time_with_one_waiting_thread",
            "adapters/test_kill.py::test_the_watcher_wakes_the_loop_and_stops_requests_within_half_a_second",
            "execution/test_halting.py::test_a_kill_between_the_record_and_the_request_stops_the_request",
            "execution/test_halting.py::test_a_kill_cancels_entries_until_two_sweeps_are_clean_and_leaves_the_stop",
            "loop/test_kill_switch.py::test_whenever_the_switch_goes_on_no_order_begins_after_it",
            "loop/test_kill_switch.py::test_trading_resumes_after_one_clean_reconcile_and_says_so",
            "process/test_kill_switch.py::test_every_order_is_terminal_within_ten_seconds",
            "process/test_kill_switch.py::test_no_order_is_sent_after_the_file_appeared",
        ),
        keys=("kill_switch.on_halt",),
        faults=("F067", "F069", "F111", "F112"),
        metrics=("bot_kill_switch", "bot_halts"),
        alerts=("halt.*",),
        gates=("kill_switch",),
    ),
    Control(
        "halt table",
        "One row a cause says what goes on: entries, our working entries, stops at the venue, exits, when it ends. Of "
        "several causes together the strictest of each column rules.",
        tests=(
            "risk/test_halts.py::test_every_cause_has_a_row_and_a_reason",
            "risk/test_halts.py::test_a_further_halt_never_permits_more",
            "risk/test_halts.py::test_stops_are_not_taken_away_by_a_flatten_that_may_not_sell",
            "test_decide.py::test_a_stop_is_sold_under_a_loss_stop_and_not_under_the_kill_switch",
            "loop/test_latches.py::test_a_loss_stop_still_lets_a_position_be_sold",
        ),
        keys=("kill_switch.on_halt", "execution.on_shutdown", "risk.breakers"),
        faults=("F022", "F069", "F111"),
        metrics=("bot_halts", "bot_cycles_total"),
        alerts=("exit.blocked.*", "halt.*"),
        gates=("halts",),
    ),
    Control(
        "cooldowns",
        "A product pauses after any fill, longer after a stop-out; everything pauses after a losing streak; a rule "
        "after its own last entry; and so many entries an hour, a day and a cycle. They survive restarts.",
        tests=(
            "risk/test_cooldowns.py::test_any_fill_pauses_its_product_and_a_stop_out_longer",
            "risk/test_cooldowns.py::test_a_losing_streak_pauses_everything",
            "risk/test_cooldowns.py::test_a_pause_of_one_coin_holds_under_every_listing_until_it_ends",
            "risk/test_gates.py::test_entries_of_this_cycle_count_towards_the_hour",
            "rules/test_entry.py::test_a_rule_pauses_after_its_last_entry",
            "record/test_fold.py::test_a_shorter_cooldown_never_shortens_a_longer_one",
            "loop/test_trades.py::test_no_second_entry_within_the_cooldown_after_a_stop",
        ),
        keys=(
            "risk.cooldown_minutes",
            "risk.cooldown_after_stop_minutes",
            "risk.loss_streak",
            "risk.loss_streak_cooldown_minutes",
            "risk.max_entries_per_hour",
            "risk.max_entries_per_day",
            "rules.*.cooldown_minutes",
            "rules.*.max_new_per_cycle",
        ),
        metrics=("bot_rejections_total",),
        alerts=("stop.*", "pause.*"),
        gates=("cooldowns", "trade_pacing"),
    ),
    Control(
        "fee-aware sizing",
        "One arithmetic for risk and execution: the highest of the known and the feared rates, set aside under every "
        "cap and out of the wallet, so that a size still fits after its own fee.",
        tests=(
            "domain/test_fees.py::test_a_budget_is_never_overspent_and_one_more_increment_would_overspend_it",
            "domain/test_fees.py::test_what_a_size_costs_buys_that_size_again",
            "domain/test_fees.py::test_the_worst_of_known_and_feared_rates_is_assumed",
            "risk/test_engine.py::test_everything_approved_is_legal_and_its_cost_is_told_with_fees",
            "execution/test_entries.py::test_an_entry_over_its_approved_cost_is_refused",
        ),
        keys=("fees.worst_maker_pct", "fees.worst_taker_pct", "risk.cash_reserve_pct"),
        faults=("F045", "F082"),
        metrics=("bot_clamps_total", "bot_rejections_total"),
        alerts=("halt.*",),
        gates=("cash",),
        breakers=("fee_above_assumed",),
    ),
    Control(
        "daily and weekly stops, drawdown",
        "Realised results of exchange fills, fees in, plus the change of what is open, by UTC day and ISO week; and "
        "the distance from the persisted peak, deposits and withdrawals taken out. A breach latches across restarts "
        "and a clock that was set back; exits go on.",
        tests=(
            "risk/test_stops.py::test_a_day_is_realised_profit_plus_the_change_of_what_is_open",
            "risk/test_stops.py::test_fees_in_the_cost_are_part_of_the_loss",
            "risk/test_stops.py::test_each_stop_trips_at_its_limit",
            "risk/test_stops.py::test_a_clock_set_back_forgets_no_loss",
            "risk/test_stops.py::test_only_an_operator_ends_a_drawdown_stop",
            "loop/test_latches.py::test_the_daily_stop_latches_is_critical_and_outlives_a_restart",
            "loop/test_latches.py::test_a_deposit_does_not_release_a_loss_stop",
        ),
        keys=("risk.daily_stop_pct", "risk.weekly_stop_pct", "risk.max_drawdown_pct", "risk.cost_method"),
        faults=("F037", "F061", "F069", "F079", "F105"),
        metrics=("bot_result_pct", "bot_halts", "bot_equity_usd"),
        alerts=("halt.*",),
        gates=("loss_stops",),
    ),
    Control(
        "human approval",
        "An entry above a size waits for `bot approve`, is good for one trade of that product, side, rule and size, "
        "and lapses by itself.",
        tests=(
            "risk/test_approval.py::test_an_answer_is_used_up_by_the_trade_it_allowed",
            "risk/test_approval.py::test_another_product_side_rule_or_size_is_not_answered",
            "risk/test_approval.py::test_an_exit_never_waits_for_anybody",
            "loop/test_running.py::test_a_large_trade_waits_for_a_word_and_uses_it_once",
            "cli/test_commands.py::test_a_trade_above_the_limit_waits_for_a_person_and_happens_after_a_yes",
        ),
        keys=("risk.approval_above_usd", "risk.approval_expires_minutes"),
        metrics=("bot_rejections_total",),
        alerts=("approval.*",),
        gates=("human_approval",),
    ),
    Control(
        "feasibility at start",
        "For every tier and regime a legal order must exist between the venue's minimum and the caps at the account's "
        "equity, with its exit; else the start is refused with the numbers, or for exits only when something is held.",
        tests=(
            "settings/test_feasibility.py::test_a_small_account_is_told_where_it_cannot_trade_and_why",
            "settings/test_feasibility.py::test_what_is_bought_can_be_sold_at_its_stop",
            "adapters/coinbase/test_gates.py::test_an_account_too_small_for_any_legal_order_is_refused_with_the_numbers",
            "cli/test_checking.py::test_equity_too_small_for_a_legal_order_is_a_failure",
        ),
        keys=("universe.yaml: tiers", "risk.min_exit_margin_pct", "governance.canary_scale_pct"),
        faults=("F082", "F110"),
        metrics=("bot_halts",),
        alerts=("start.exit_only",),
    ),
    Control(
        "risk report",
        "`bot risk-report`: the largest order, exposure and loss the present configuration permits, in money, and the "
        "key that bounds each.",
        tests=(
            "cli/test_reading.py::test_the_risk_report_is_in_money_of_the_present_equity",
            "cli/test_reading.py::test_the_risk_report_of_an_unknown_equity_asks_for_one",
        ),
        keys=("risk.max_total_pct", "risk.max_per_asset_pct", "risk.daily_stop_pct", "exits.max_slippage_bps"),
    ),
    Control(
        "universe",
        "Red flags ban a coin for a time in every currency, survive restarts and never stop exits; who is eligible "
        "enters after so many good cycles and leaves after so many bad; discovery takes the most traded; any flag of "
        "the venue refuses entries, a missing one too; too few eligible products are no trade.",
        tests=(
            "universe/test_bans.py::test_a_red_flag_bans_for_the_configured_hours",
            "universe/test_bans.py::test_a_ban_on_one_quote_currency_is_a_ban_on_the_coin_and_the_longest_counts",
            "universe/test_hysteresis.py::test_two_in_and_three_out",
            "universe/test_candidates.py::test_discovery_only_takes_what_could_be_entered",
            "universe/test_manager.py::test_every_flag_of_the_venue_refuses_entries",
            "universe/test_manager.py::test_too_few_eligible_markets_are_a_reason_not_to_trade",
            "adapters/coinbase/test_wire.py::test_every_flag_limits_trading_and_a_missing_one_closes_it",
            "loop/test_account.py::test_a_flagged_product_is_sold_and_not_entered_again",
        ),
        keys=(
            "universe.yaml: exclusions.never_trade",
            "universe.yaml: exclusions.red_flags",
            "universe.yaml: exclusions.flagged",
            "universe.yaml: exclusions.temporary_ban_hours",
            "universe.yaml: exclusions.watch_file",
            "universe.yaml: discovery.max_products",
            "universe.yaml: hysteresis.enter_after",
            "universe.yaml: hysteresis.leave_after",
            "universe.yaml: min_eligible_assets",
        ),
        faults=("F040", "F041", "F042", "F077", "F079"),
        metrics=("bot_no_trade_total", "bot_excluded"),
        alerts=("universe.empty",),
        gates=("bans", "product_status"),
        breakers=("product_status",),
    ),
)
