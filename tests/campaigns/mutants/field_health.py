"""Bugs planted in what watches over the others: keepers of orders, probes, connections."""

from tests.campaigns.mutants.anchors import Code
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
            "SweepActivities._apart", "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)", "raise"
        ),
        breaks="one order that cannot be asked about would keep every sweep from all others",
        tests=(
            "test_an_order_that_nobody_can_ask_about_holds_up_no_other",
            "test_an_order_that_cannot_be_handed_on_holds_up_no_other",
        ),
    ),
    bug(
        "a-sweep-without-temporal-fails",
        Code("SweepActivities._apart", "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)", ""),
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
)
