"""Bugs planted in what watches over the others: keepers of orders, probes, connections."""

from tests.campaigns.mutants.anchors import Code, Text
from tests.campaigns.mutants.mutant import Mutant, bug

FIELD_HEALTH: tuple[Mutant, ...] = (
    bug(
        "an-unknown-status-is-a-running-one",
        Code(
            "keepers.is_running", "info.status not in _ENDED", "info.status == Status.WORKFLOW_EXECUTION_STATUS_RUNNING"
        ),
        breaks="each paused order would get a second workflow",
        tests="test_a_workflow_in_a_state_that_our_sdk_does_not_know_is_one_that_runs",
    ),
    bug(
        "one-order-holds-up-no-other",
        Code(
            "SettlementActivities._apart",
            "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)",
            "raise",
        ),
        breaks="one order that cannot be asked about would keep every sweep from all others",
        tests=(
            "test_an_order_that_nobody_can_ask_about_holds_up_no_other",
            "test_an_order_that_cannot_be_handed_on_holds_up_no_other",
        ),
    ),
    bug(
        "a-sweep-without-temporal-fails",
        Code(
            "SettlementActivities._apart", "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)", ""
        ),
        breaks="while Temporal is away, a sweep that saw nobody would look like one that found all well",
        tests="test_with_temporal_away_the_sweep_fails_as_a_whole_and_is_tried_again",
    ),
    bug(
        "the-sweep-looks-at-all",
        Code("order_queries.MOST_UNSETTLED", "100_000", "50"),
        breaks="fifty customers who take their time would hide every orphan",
        tests="test_the_last_of_sixty_orders_is_looked_at_too",
    ),
    bug(
        "the-audit-tells-of-every-order",
        Code("audit._audit_workflows", "RPCError", "ZeroDivisionError"),
        breaks="one order that cannot be asked about would leave the shop without an audit",
        tests="test_the_audit_tells_of_an_order_that_nobody_can_ask_about_and_of_the_others",
    ),
    bug(
        "useless-sessions-are-thrown-away",
        Code("engine._throw_away", "context.is_disconnect = True", "pass"),
        breaks="after a failover nothing could be written until somebody killed the processes",
        tests="test_a_session_that_became_read_only_is_thrown_away_with_all_of_its_pool",
    ),
    bug(
        "useless-sessions-of-the-payment-service-too",
        Code("database._throw_away", "context.is_disconnect = True", "pass"),
        breaks="after a failover nobody could pay until somebody killed the payment service",
        tests="test_the_payment_service_gives_up_sessions_that_are_read_only_too",
    ),
    bug(
        "a-full-disk-is-seen",
        Text("writing._TRY", "PERFORM count(*) FROM generate_series(1, 8000);", ""),
        breaks="with its disk full, a shop would call itself ready",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "no-checkout-begins-without-room",
        Code(
            "Checkouts.buy", "await self._cart.before(lines)\nself._writing.check()", "await self._cart.before(lines)"
        ),
        breaks="while nothing can be written, each Buy would leave a checkout that holds stock later",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "an-outage-is-not-called-progress",
        Code("Checkouts.buy", "if answered is None: ...", ""),
        breaks="who buys in the moment the disk is full would be told to wait for nothing",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "a-failed-write-counts",
        Code("WriteWatch.look", "time.monotonic() - self._failed_at >= self._remembered", "True"),
        breaks="room for a temporary file would be taken for room in the tables",
        tests="test_a_write_that_failed_for_want_of_room_counts_for_a_while",
    ),
    bug(
        "limits-are-read-back",
        Code("db.engine.open_session", "not holds", "False"),
        breaks="behind a pooler that keeps SET to itself, a frozen process would hold its locks for ever",
        tests="test_limits_that_do_not_hold_are_refused_by_name",
    ),
    bug(
        "a-pooler-of-transactions-is-refused",
        Code("db.engine.check_sessions", "len(first) > 1 or first & second", "False"),
        breaks="our limits would be those of whoever has the session next",
        tests="test_a_pooler_of_transactions_is_refused",
    ),
    bug(
        "a-worker-is-heard-or-not-ready",
        Code("PollerWatch.look", "is_heard", "True"),
        breaks="a worker whose polls come to nothing would be called ready",
        tests="test_polls_that_stopped_are_told_from_polls_that_go_on",
    ),
    bug(
        "steps-may-end",
        Code("app.create_worker", "policies.DRAIN", "policies.DRAIN * 0"),
        breaks="each stop of a worker would cut through the steps it is at",
        tests="test_a_step_that_is_under_way_may_end_when_the_worker_stops",
    ),
    bug(
        "the-schedule-is-made-again",
        Code("starting.keep_sweeping", "not is_set or not await has_sweep(client)", "not is_set"),
        breaks="after a loss of Temporal's data no sweep would ever run again",
        tests="test_the_sweeps_schedule_is_made_again_when_it_is_gone",
    ),
    bug(
        "beats-come-before-they-are-missed",
        Code("checkouts._beating", "limit / 5", "limit * 3"),
        breaks="a long look for a session would be cut short and begun anew for ever",
        tests="test_a_long_look_for_the_session_tells_in_time_that_it_lives",
    ),
    bug(
        "streams-read-again-after-a-gap",
        Code("_have_all_look", "news.set()", "pass"),
        breaks="an open order page would never show what happened while PostgreSQL was away",
        tests="test_an_open_stream_tells_what_happened_while_nobody_listened",
    ),
    bug(
        "a-demoted-server-is-not-listened-to",
        Code("OrderEventHub._listen_once", "await driver.fetchval('SHOW transaction_read_only') == 'on'", "False"),
        breaks="after a failover no order page would move by itself",
        tests="test_a_server_that_was_demoted_is_not_listened_to",
    ),
    bug(
        "what-was-restored-ends",
        Code("sweep_orders", "await self._wake(running - {order.checkout_key for order in live})", ""),
        breaks="after a restore of Temporal's store the audit would find fault with orders until their deadline",
        tests="test_a_checkout_that_was_restored_after_its_order_had_ended_ends_too",
    ),
    bug(
        "who-waits-for-a-row-gives-up",
        Code("db.engine.LOCK_TIMEOUT", "1.5", "150"),
        breaks="buyers of one product would wait as long as its slowest transaction",
        tests="test_who_waits_for_a_row_gives_up_before_its_step_does",
    ),
    bug(
        "a-frozen-process-gives-its-rows-back",
        Code("db.engine.IDLE_IN_TRANSACTION_TIMEOUT", "2.5", "250"),
        breaks="a frozen worker would keep a product from everybody",
        tests="test_a_process_that_froze_with_a_row_locked_gives_it_back",
    ),
    bug(
        "statements-end",
        Code("db.engine.STATEMENT_TIMEOUT", "2.5", "250"),
        breaks="a statement could go on, and commit, long after its step was given up",
        tests="test_a_statement_that_does_not_end_is_ended",
    ),
    bug(
        "silence-is-not-waited-for",
        Code("engine.COMMAND_TIMEOUT", "3.0", "300"),
        breaks="a network that swallows packets would hang every step and every customer",
        tests="test_a_network_that_swallows_everything_is_not_waited_for",
    ),
    bug(
        "no-goodbye-to-the-silent",
        Code("engine._hang_up", "connection.driver_connection.terminate()", "pass"),
        breaks="each step would wait two seconds longer than its limit says",
        tests="test_a_network_that_swallows_everything_is_not_waited_for",
    ),
    bug(
        "a-dead-workers-task-goes-to-another",
        Code("policies.WORKFLOW_TASK_TIMEOUT", "timedelta(seconds=3)", "timedelta(seconds=10)"),
        breaks="whoever buys while a worker dies would be told to come again",
        tests="test_a_worker_that_died_with_a_task_is_not_waited_for_long",
    ),
)
