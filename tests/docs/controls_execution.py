"""Controls between a permission and the venue, and in the books."""

from __future__ import annotations

from typing import Final

from tests.docs.control import Control

EXECUTION: Final = (
    Control(
        "product constraints",
        "Prices round passively, sizes down; then the venue's minimums, after fees, its bounds, the mode of the "
        "product and the type of order it takes. Metadata that is missing or old refuses; nothing is made larger than "
        "approved.",
        tests=(
            "execution/test_constraints.py::test_what_is_let_through_is_legal_and_never_more_than_asked",
            "execution/test_constraints.py::test_a_buy_must_meet_the_minimum_after_its_fee_and_a_sale_before_it",
            "execution/test_constraints.py::test_old_metadata_is_refused_unless_it_is_the_last_way_out",
            "execution/test_constraints.py::test_only_the_types_a_mode_takes_are_let_through",
            "loop/test_refusals.py::test_a_product_that_closes_between_approval_and_request_is_a_refusal_and_no_doubt",
        ),
        keys=("data.product_max_age_minutes", "execution.allow_market_orders"),
        faults=("F040", "F041", "F080", "F082"),
        metrics=("bot_rejections_total",),
        alerts=("rejected.*",),
        gates=("min_notional", "product_status"),
        breakers=("rejections", "product_status"),
    ),
    Control(
        "fee-adjusted rounding",
        "All steps in Decimal and towards safety: a buy's price and size down, a sale's price up, its size down to "
        "what is held; a step may be 0.25 or 5. What goes on the wire is fixed-point text.",
        tests=(
            "execution/test_constraints.py::test_prices_round_to_the_passive_side_and_sizes_down",
            "domain/test_money.py::test_rounding_stays_within_one_step_on_the_right_side",
            "domain/test_money.py::test_the_float_trap_of_029_over_001_does_not_exist",
            "domain/test_money.py::test_numbers_are_written_in_fixed_point",
            "domain/test_product.py::test_passive_prices_never_cross_what_was_asked",
            "domain/test_fees.py::test_the_least_gross_buys_a_legal_order_and_a_cent_less_does_not",
        ),
        keys=("fees.worst_maker_pct", "fees.worst_taker_pct"),
        faults=("F080", "F082"),
        metrics=("bot_rejections_total",),
    ),
    Control(
        "last-hop collar and governors",
        "In the last function before the socket, and by itself: price collar on both sides of the present quote, "
        "orders a minute and a day, money a day, repeats on one side, no sale of more than is held. A governor that "
        "is reached latches. Asked before the intent is written and again when the request is ready.",
        tests=(
            "execution/test_last_hop.py::test_each_fact_refuses_by_itself",
            "execution/test_last_hop.py::test_a_limit_may_not_lie_further_from_the_market_than_the_collar",
            "execution/test_last_hop.py::test_every_governor_has_its_ceiling_and_latches",
            "execution/test_last_hop.py::test_no_sale_exceeds_what_is_held_and_not_on_offer",
            "execution/test_last_hop.py::test_only_a_flattening_sale_of_what_is_held_passes_a_kill",
            "execution/test_halting.py::test_the_same_exit_for_ever_latches",
            "record/test_fold.py::test_the_governors_remember_what_was_sent_for_a_day",
        ),
        keys=(
            "execution.governors.price_collar_pct",
            "execution.governors.orders_per_minute",
            "execution.governors.orders_per_day",
            "execution.governors.notional_per_day_usd",
            "execution.governors.same_side_repeats",
            "execution.governors.same_side_window_minutes",
        ),
        faults=("F066", "F068", "F101"),
        metrics=("bot_rejections_total", "bot_halts"),
        alerts=("halt.*",),
    ),
    Control(
        "deterministic client order ids",
        "An id is a hash of the account, the journal's genesis, the intent's number and the attempt: it depends on no "
        "clock and no memory. The intent is on the disk before the request leaves; a retry keeps its id, a re-quote "
        "has its own, and a journal that lost its end gets a new genesis.",
        tests=(
            "execution/test_identity.py::test_two_attempts_never_share_an_id_and_one_always_gets_the_same",
            "execution/test_identity.py::test_an_order_of_another_account_is_the_bots_but_not_ours",
            "execution/test_entries.py::test_the_intent_is_in_the_journal_before_the_order_reaches_the_exchange",
            "record/test_recovery.py::test_after_a_cut_the_chain_goes_on_under_a_new_genesis_and_the_cut_part_is_kept",
            "record/test_crash_points.py::test_without_power_durable_events_stand_and_the_rest_is_a_prefix",
            "record/test_kill_nine.py::test_sigkill_at_a_random_moment_loses_no_intent_that_was_durable",
        ),
        faults=("F005", "F084", "F085", "F092", "F093"),
        metrics=("bot_orders_total",),
        alerts=("unknown.*",),
    ),
    Control(
        "order states and timers",
        "A table with a row for every state; an illegal pair is reported and never applied. A timer for every state "
        "that should pass. An order without an answer is UNKNOWN at full weight until a listing shows it, or several "
        "complete ones over a time, balances and fills prove that it was never placed; a buy is never sent twice.",
        tests=(
            "domain/test_order.py::test_every_state_has_a_row",
            "domain/test_order.py::test_no_sequence_of_events_resurrects_an_order",
            "execution/test_lifecycle.py::test_an_illegal_pair_is_reported_and_never_applied",
            "execution/test_lifecycle.py::test_every_state_that_should_pass_has_its_timer",
            "execution/test_unknown_orders.py::test_a_buy_that_never_arrived_is_proven_absent_only_by_three_listings_over_a_minute",
            "execution/test_unknown_orders.py::test_balances_that_disagree_keep_the_order_unknown",
            "execution/test_unknown_orders.py::test_failed_listings_prove_nothing",
            "execution/test_unknown_orders.py::test_a_buy_of_unknown_fate_is_never_sent_again_and_keeps_its_product_closed",
            "adapters/coinbase/test_place.py::test_any_other_answer_leaves_the_outcome_unknown",
        ),
        keys=(
            "execution.unknown_min_listings",
            "execution.unknown_min_seconds",
            "execution.submitted_timeout_seconds",
            "execution.cancel_timeout_seconds",
        ),
        faults=("F001", "F002", "F004", "F005", "F016", "F029", "F030", "F032", "F055", "F057"),
        metrics=("bot_orders_total", "bot_unknown_orders"),
        alerts=("unknown.*", "ghost.*", "mismatch.*"),
    ),
    Control(
        "post-only TTL and re-quotes",
        "An entry rests at the touch with an expiry at the venue itself; unfilled it is cancelled, seen gone and "
        "quoted again at most so often, each time through every gate and never beyond what was approved; then, if the "
        "policy says so, one immediate order, or nothing.",
        tests=(
            "execution/test_entries.py::test_an_entry_rests_at_the_bid_and_dies_by_itself_a_minute_after_its_time",
            "execution/test_entries.py::test_what_is_left_after_its_time_is_quoted_again_until_the_attempts_are_used_up",
            "execution/test_entries.py::test_every_requote_is_approved_by_risk_for_what_is_left",
            "execution/test_entries.py::test_a_post_only_that_would_cross_uses_up_an_attempt_and_then_gives_up",
            "execution/test_routing.py::test_nothing_is_sent_while_the_fate_of_an_order_is_unknown",
            "execution/test_routing.py::test_no_order_is_larger_than_what_is_left_or_worse_than_what_was_approved",
            "risk/test_engine.py::test_a_further_attempt_never_costs_more_than_was_approved",
        ),
        keys=(
            "execution.default_order_type",
            "execution.post_only_ttl_seconds",
            "execution.gtd_margin_seconds",
            "execution.maker_max_reprices",
            "execution.taker_fallback",
        ),
        faults=("F021", "F064"),
        metrics=("bot_orders_total",),
        alerts=("rejected.*",),
    ),
    Control(
        "fills booked exactly once",
        "By entry id, and by order and trade, over pages, polls and restarts, in whatever order they come; an "
        "adjustment is booked beside what it adjusts. Quantities only grow, whichever answer is older.",
        tests=(
            "execution/test_booking.py::test_a_row_that_two_pages_repeat_is_booked_once",
            "execution/test_booking.py::test_a_trade_that_comes_under_another_entry_id_is_booked_once",
            "record/test_fold_fills.py::test_the_order_in_which_fills_arrive_moves_no_coin_and_no_cash",
            "record/test_fold_fills.py::test_a_fill_seen_again_changes_nothing",
            "record/test_fold_fills.py::test_fill_ids_are_kept_while_a_row_can_come_again_and_not_longer",
            "record/test_fold.py::test_a_stale_answer_never_takes_back_what_was_filled",
            "loop/test_failures.py::test_an_order_that_filled_before_its_answer_was_lost_is_booked_once",
        ),
        keys=("state.fill_overlap_minutes",),
        faults=("F002", "F052", "F054"),
        metrics=("bot_ledger_residual",),
        alerts=("mismatch.*",),
    ),
    Control(
        "quote-sized and lagging fills",
        "Of a fill whose size is in quote currency the base comes from the order's filled size, once all of it is "
        "there. A fill that cannot be named yet waits, and the cursor waits with it; a late one moves the books, "
        "never the state.",
        tests=(
            "execution/test_booking.py::test_fills_sized_in_quote_share_the_orders_base_exactly",
            "execution/test_booking.py::test_a_fill_sized_in_quote_waits_until_all_of_its_order_is_there",
            "execution/test_booking.py::test_the_cursor_never_passes_a_fill_that_waits",
            "execution/test_lifecycle.py::test_a_fill_after_the_end_moves_the_quantity_and_never_the_state",
            "execution/test_entries.py::test_a_late_fill_of_a_cancelled_order_shrinks_the_next_quote",
            "observe/test_reconcile.py::test_fills_are_read_with_an_overlap_before_the_cursor",
            "record/test_fold.py::test_an_order_with_a_fill_still_to_come_is_never_forgotten",
        ),
        keys=("state.fill_overlap_minutes", "execution.post_trade_reconcile_wait_seconds"),
        faults=("F054", "F056", "F062"),
        metrics=("bot_ledger_residual",),
    ),
    Control(
        "spread, depth and slippage",
        "Before an entry leaves: the spread of its tier, its share of what lies near the mid on both sides, the "
        "average price of walking the book with its size, and the venue's own preview. A thin or dear book refuses.",
        tests=(
            "execution/test_pretrade.py::test_a_market_wider_than_its_tier_allows_is_refused",
            "execution/test_pretrade.py::test_an_order_must_be_a_small_part_of_both_sides",
            "execution/test_pretrade.py::test_a_crossing_entry_pays_no_more_than_the_slippage_allowed",
            "execution/test_entries.py::test_a_thin_book_is_refused_before_anything_is_recorded",
            "execution/test_entries.py::test_what_the_preview_refuses_is_not_sent",
            "execution/test_entries.py::test_an_entry_whose_preview_cannot_be_had_is_not_sent",
            "universe/test_manager.py::test_depth_counts_both_sides_within_the_band",
        ),
        keys=(
            "execution.depth_within_bps",
            "execution.max_depth_share_pct",
            "execution.max_slippage_bps",
            "execution.use_preview",
            "universe.yaml: tiers",
        ),
        faults=("F072", "F074"),
        metrics=("bot_rejections_total",),
    ),
    Control(
        "resting protective stops",
        "One protective sell a position rests at the venue, its size following the fills, so that a dead bot still "
        "has its stop. The sell side has one owner: an exit takes the stop back, sees it gone and the hold released, "
        "and sells what is free; nothing is sold twice. A crossed stop wakes the loop between cycles.",
        tests=(
            "execution/test_exits.py::test_a_position_gets_one_bracket_at_its_stop_and_target",
            "execution/test_exits.py::test_the_protective_order_grows_with_the_position",
            "execution/test_exits.py::test_a_stop_that_fires_while_it_is_being_cancelled_sells_the_coins_once",
            "execution/test_exits.py::test_no_exit_leaves_while_the_protective_order_will_not_end",
            "execution/test_exits.py::test_a_protective_order_that_the_exchange_cancels_is_placed_again_once",
            "execution/test_protective_plan.py::test_no_plan_offers_more_than_is_held_or_a_stop_above_the_market",
            "loop/test_trades.py::test_a_filled_entry_has_its_stop_at_the_venue_within_two_seconds",
            "loop/test_trades.py::test_a_trailing_stop_sells_between_two_scheduled_cycles_once_confirmed",
            "loop/test_failures.py::test_a_stop_at_the_venue_outlives_a_full_disk",
        ),
        keys=(
            "exits.resting_on_exchange",
            "exits.style",
            "exits.stop_confirmations",
            "exits.max_slippage_bps",
            "execution.hold_release_seconds",
            "rules.*.stop_loss_pct",
        ),
        faults=("F048", "F060", "F069", "F074"),
        metrics=("bot_orders_total", "bot_unprotected_positions"),
        alerts=("stop.*", "unprotected.*"),
    ),
    Control(
        "dust ledger and exit guarantee",
        "An entry must leave a position that can still be sold at its stop. What a partial fill leaves below the "
        "venue's minimum is booked and valued, is never offered, and takes no place.",
        tests=(
            "risk/test_gates.py::test_what_is_bought_can_still_be_sold_at_its_stop",
            "risk/test_exposure.py::test_dust_and_unmanaged_coins_take_no_place",
            "rules/test_exits.py::test_dust_is_left_alone",
            "rules/test_entry.py::test_dust_does_not_block_its_coin_for_ever",
            "execution/test_exits.py::test_dust_is_never_offered",
            "domain/test_holdings.py::test_dust_is_what_the_venue_would_not_take",
        ),
        keys=("risk.min_exit_margin_pct", "exits.trim_to_cap"),
        faults=("F056",),
        metrics=("bot_rejections_total",),
        gates=("exit_guarantee",),
    ),
    Control(
        "expected against actual price and fee",
        "Of every order that ended with fills: the price and fee the decision assumed and those that came, in the "
        "journal and told by `bot explain`. Worse than the budget counts towards a breaker, and a fee above the one "
        "assumed has the fee tier read again at once.",
        tests=(
            "execution/test_exits.py::test_expected_and_actual_price_and_fee_are_kept",
            "execution/test_lifecycle.py::test_slippage_is_positive_when_it_was_worse_on_either_side",
            "execution/test_lifecycle.py::test_an_order_without_fills_measures_nothing",
            "loop/test_controls_counted.py::test_what_each_order_was_expected_to_cost_and_did_is_counted_and_explained",
            "observe/test_observer.py::test_a_tier_that_an_order_belied_is_read_again_at_once_and_then_hourly",
        ),
        keys=("execution.max_slippage_bps", "risk.breakers.slippage", "risk.breakers.fee_above_assumed"),
        faults=("F045",),
        metrics=("bot_slippage_bps", "bot_fees_total", "bot_breaker_open"),
        alerts=("halt.*",),
        breakers=("slippage", "fee_above_assumed"),
    ),
    Control(
        "settle-time histogram",
        "How long the venue takes until order, fills and wallets of a submission agree, kept in buckets across "
        "restarts: `bot status` suggests the wait after a trade from it.",
        tests=(
            "execution/test_entries.py::test_the_settle_time_of_an_order_is_noted_once",
            "execution/test_entries.py::test_an_order_is_settled_only_when_the_wallets_read_what_the_books_expect",
            "loop/test_controls_counted.py::test_what_each_order_was_expected_to_cost_and_did_is_counted_and_explained",
        ),
        keys=("execution.post_trade_reconcile_wait_seconds",),
        metrics=("bot_settle_seconds",),
    ),
    Control(
        "post-trade smoke",
        "After submissions the cycle waits, then reads orders, fills and balances again before it ends, so that the "
        "next decision sees what this one did and a new position gets its stop at once. `bot check --smoke` makes and "
        "times the same reads before a start.",
        tests=(
            "loop/test_trades.py::test_a_filled_entry_has_its_stop_at_the_venue_within_two_seconds",
            "execution/test_entries.py::test_a_fill_becomes_a_position_and_closes_the_intent",
            "execution/test_on_the_venue.py::test_bought_protected_and_sold_again",
            "cli/test_checking.py::test_a_rehearsal_that_may_start_passes_every_check_and_times_its_reads",
        ),
        keys=("execution.post_trade_reconcile_wait_seconds",),
        faults=("F002", "F029"),
        metrics=("bot_cycle_seconds",),
    ),
    Control(
        "graceful shutdown",
        "A signal interrupts any wait, nothing new begins, entries are cancelled and seen gone, stops stay, late "
        "fills are booked. Exit 0, or 7 with what may still work listed; a second signal stops waiting for proof.",
        tests=(
            "loop/test_running.py::test_a_stop_cancels_entries_leaves_stops_and_answers_zero",
            "loop/test_running.py::test_a_stop_with_the_venue_away_lists_what_may_still_work_and_answers_seven",
            "loop/test_running.py::test_no_order_begins_once_a_stop_was_asked_for",
            "loop/test_running.py::test_a_second_signal_stops_waiting_for_proof",
            "execution/test_halting.py::test_shutdown_sees_entries_gone_and_keeps_the_stop",
            "process/test_leaving.py::test_a_stop_while_a_request_hangs_finds_the_order_and_takes_it_back",
            "systemd/test_guard.py::test_a_crashed_bots_entry_is_cancelled_and_its_stop_keeps_protecting",
        ),
        keys=("execution.on_shutdown",),
        faults=("F094", "F095", "F098"),
        alerts=("shutdown", "guard", "unit.failed"),
    ),
)
