"""From the rows of an order to what its customer and an operator are told."""

from datetime import UTC, datetime
from typing import Any

from api.order_views import operator_order, order_out
from db.order_pages import OrderDetail

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _row(status: str, refunds: list[dict[str, Any]], disputes: list[dict[str, Any]] | None = None) -> OrderDetail:
    return OrderDetail(
        id="ord_1", checkout_key="k1", status=status, reason=None, amount_total=1000, currency="usd",
        created_at=NOW, updated_at=NOW, expires_at=NOW, payment_session_id="cs_1", payment_url="http://pay",
        payment_intent_id="pi_1", fulfilled_at=NOW, dispatch_due_at=NOW, processing_until=None, on_hold=False, now=NOW,
        paid=1000, refunds=refunds, disputes=disputes or [],
        lines=[{"sku": "pen", "name": "Pen", "quantity": 1, "unit_amount": 1000}],
        timeline=[{"seq": 1, "kind": "refund_failed", "at": NOW, "data": {"amount": 1000}}],
    )  # fmt: skip


def _refund(state: str, attempt: int = 1, *, is_taken: bool = True, by: str = "operator") -> dict[str, Any]:
    return {
        "id": f"rfd_{attempt}", "amount": 1000, "state": state, "requires_action": False, "reason": "Goodwill",
        "requested_by": by, "attempt": attempt, "failure_reason": "lost_or_stolen_card", "at": NOW, "lines": [],
        "is_taken": is_taken,
    }  # fmt: skip


def test_money_that_came_back_to_the_shop_is_told_as_due() -> None:
    failed = order_out(_row("refunded", [_refund("failed")]))
    assert (failed.payment.status, failed.payment.kept, failed.payment.refunded) == ("refund_due", 1000, 0)
    again = order_out(_row("refunded", [_refund("failed"), _refund("pending", 2, is_taken=False)]))
    assert (again.payment.status, again.payment.refund_pending) == ("refund_due", 1000)
    done = order_out(_row("refunded", [_refund("failed"), _refund("succeeded", 2)]))
    assert (done.payment.status, done.payment.kept, done.payment.refunded) == ("refunded", 0, 1000)
    assert failed.timeline[0].text == "A refund of 10.00 USD failed: the money came back to the shop"


def test_a_customer_is_told_less_of_a_dispute_and_of_refusals_than_an_operator() -> None:
    dispute = {"id": "du_1", "amount": 1000, "state": "lost", "reason": "fraudulent", "evidence_due_by": NOW, "at": NOW}
    refunds = [_refund("failed", is_taken=False), _refund("succeeded", 2, by="provider")]
    row = _row("dispatched", refunds, [dispute])
    told, seen = order_out(row), operator_order(row)
    assert told.disputes[0].model_dump().keys() == {"id", "amount", "state", "is_open", "at"}
    assert (seen.disputes[0].reason, seen.disputes[0].evidence_due_by) == ("fraudulent", NOW)
    assert [(refund.id, refund.reason) for refund in told.refunds] == [("rfd_2", None)]
    assert [(refund.id, refund.failure_reason is None) for refund in seen.refunds] == [
        ("rfd_1", False),
        ("rfd_2", False),
    ]
    assert (told.payment.lost, told.payment.kept) == (1000, -1000), "refunded, and taken by the bank as well"
