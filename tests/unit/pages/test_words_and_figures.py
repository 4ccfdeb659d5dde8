"""Money, the order's story and the console's charts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.schemas import OrderOut
from api.web.console import charts
from api.web.rendering import format_money
from api.web.shop.story import tell
from checkout.orders import OrderStatus, Reason

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WAY = ["reserved", "awaiting_payment", "paid", "fulfilled", "dispatched"]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (2450, "usd", "$24.50"),
        (5, "eur", "€0.05"),
        (1_234_567, "gbp", "£12,345.67"),
        (500, "jpy", "¥500"),
        (1500, "bhd", "BHD\u00a01.500"),
        (-2450, "usd", "-$24.50"),
        (100, "sek", "SEK\u00a01.00"),
    ],
)
def test_minor_units_are_written_as_the_currency_has_them(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


def _order(status: OrderStatus, kinds: list[str], reason: Reason | None = None, **data: Any) -> OrderOut:
    timeline = [{"seq": i + 1, "kind": kind, "at": NOW, "data": {}} for i, kind in enumerate(kinds)]
    timeline[-1]["data"] = data | ({"reason": reason.value} if reason else {})
    return OrderOut.model_validate(
        {
            "order_id": "ord_1",
            "status": status,
            "reason": reason,
            "lines": [{"sku": "pen", "name": "Pen", "quantity": 1, "unit_amount": 1000}],
            "amount_total": 1000,
            "currency": "usd",
            "created_at": NOW,
            "payment": {"status": "pending", "expires_at": NOW},
            "dispatch": {"status": "waiting", "progress": 0},
            "timeline": timeline,
        }
    )


@pytest.mark.parametrize(
    ("status", "happened", "states"),
    [
        (OrderStatus.PENDING, 1, ["done", "now", "todo", "todo", "todo"]),
        (OrderStatus.AWAITING_PAYMENT, 2, ["done", "now", "todo", "todo", "todo"]),
        (OrderStatus.FULFILLED, 4, ["done", "done", "done", "done", "now"]),
        (OrderStatus.DISPATCHED, 5, ["done"] * 5),
    ],
)
def test_an_order_on_its_way_has_one_step_now_and_the_rest_to_come(
    status: OrderStatus, happened: int, states: list[str]
) -> None:
    assert [step.state for step in tell(_order(status, WAY[:happened])).steps] == states


def test_an_order_that_ended_has_no_step_to_come_and_says_why() -> None:
    story = tell(_order(OrderStatus.CANCELLED, ["reserved", "awaiting_payment", "cancelled"], Reason.TIMEOUT))
    assert [(step.kind, step.state) for step in story.steps] == [
        ("reserved", "done"),
        ("awaiting_payment", "done"),
        ("cancelled", "failed"),
    ]
    assert "The time to pay was over." in story.lead
    assert story.is_over


def test_what_was_out_of_stock_is_named() -> None:
    story = tell(_order(OrderStatus.REJECTED, ["rejected"], Reason.OUT_OF_STOCK, skus=["pen"]))
    assert "Not enough left of: Pen." in story.lead


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_live or status.value == "cancelled"])
def test_nobody_who_has_not_paid_is_thanked(status: OrderStatus) -> None:
    story = tell(_order(status, ["reserved"], Reason.CUSTOMER if status is OrderStatus.CANCELLED else None))
    assert "thank" not in (story.title + story.lead + "".join(step.text for step in story.steps)).lower()


def _with_money(status: OrderStatus, payment: dict[str, Any], **more: Any) -> OrderOut:
    order = _order(status, ["reserved"]).model_dump(mode="json")
    return OrderOut.model_validate(order | more | {"payment": order["payment"] | payment})


def _refund(amount: int, state: str) -> dict[str, Any]:
    return {"id": "rfd_1", "amount": amount, "state": state, "at": NOW}


@pytest.mark.parametrize(
    ("status", "payment", "title", "badge"),
    [
        ("dispatched", {"status": "paid", "paid": 1000, "refunded": 400, "kept": 600}, "On its way to you", "partly"),
        (
            "dispatched",
            {"status": "paid", "refund_pending": 1000, "kept": 1000},
            "Your money is on its way back",
            "on its",
        ),
        ("dispatched", {"status": "paid", "refund_pending": 400, "kept": 1000}, "On its way to you", "on its way"),
        ("refunded", {"status": "refunded", "refunded": 1000}, "Your money was given back", "refunded"),
        ("refunded", {"status": "refund_due", "kept": 1000}, "Your money is on its way back", "being given back"),
    ],
)
def test_money_that_is_not_back_yet_is_never_told_as_given_back(
    status: str, payment: dict[str, Any], title: str, badge: str
) -> None:
    story = tell(_with_money(OrderStatus(status), payment))
    assert story.title == title
    assert badge in story.payment.text
    is_back = payment["status"] == "refunded"
    assert ("whole amount was given back" in story.lead) == is_back
    assert story.is_over == (is_back or not (payment.get("refund_pending") or payment["status"] == "refund_due"))


def test_a_refund_that_failed_is_told_as_one_that_is_tried_again() -> None:
    payment = {"status": "paid", "paid": 1000, "kept": 1000, "refund_pending": 500}
    refunds = [_refund(500, "failed"), _refund(500, "pending")]
    story = tell(_with_money(OrderStatus.DISPATCHED, payment, refunds=refunds))
    assert [each.stands.text for each in story.given_back] == [
        "did not reach you; it is tried again",
        "on its way back",
    ]


def test_what_is_held_back_is_not_told_as_being_packed() -> None:
    dispute = {"id": "du_1", "amount": 1000, "state": "needs_response", "is_open": True, "at": NOW}
    order = _order(OrderStatus.FULFILLED, WAY[:4]).model_dump(mode="json")
    held = {"payment": order["payment"] | {"status": "paid", "paid": 1000, "kept": 1000}, "disputes": [dispute]}
    story = tell(OrderOut.model_validate(order | held | {"dispatch": {"status": "held", "progress": 0}}))
    assert (story.title, story.payment.text) == ("Paid, and held back for now", "disputed")
    assert "Your bank disputes the payment" in story.lead
    assert "packed" not in story.title + story.steps[-1].text


def test_who_waits_for_a_bank_is_asked_to_do_nothing() -> None:
    happened = [*WAY[:2], "payment_processing"]
    order = _order(OrderStatus.PAYMENT_PROCESSING, happened).model_dump(mode="json")
    payment = order["payment"] | {"status": "processing", "processing_until": NOW}
    story = tell(OrderOut.model_validate(order | {"payment": payment}))
    assert "do nothing" in story.lead
    assert "do not pay again" in story.lead
    assert [(step.kind, step.state) for step in story.steps][1:4] == [
        ("awaiting_payment", "done"),
        ("payment_processing", "now"),
        ("paid", "todo"),
    ]
    assert not story.is_over


@dataclass
class _Bucket:
    bucket: datetime
    status: str
    orders: int


def test_each_order_is_in_the_column_of_its_time_and_none_is_lost() -> None:
    span = charts.SPANS["hour"]
    until = charts.whole_step(NOW, span.step)
    assert until - NOW == span.step
    rows = [
        _Bucket(until - span.step, "dispatched", 3),
        _Bucket(until - span.step, "cancelled", 1),
        _Bucket(until - span.length, "rejected", 2),
    ]
    chart = charts.outcomes(rows, span, until)
    assert (chart.columns[-1].total, chart.columns[0].total, chart.top) == (4, 2, 5)
    assert chart.totals == {"kept": 3, "live": 0, "cancelled": 1, "rejected": 2, "refunded": 0}
    kept, cancelled = chart.columns[-1].parts
    assert (kept.start, kept.size) == (40, 60)
    assert cancelled.start + cancelled.size == pytest.approx(kept.start)


def test_an_empty_shop_has_charts_too() -> None:
    span = charts.SPANS["week"]
    assert charts.outcomes([], span, NOW).top == 1
    assert charts.pay_times([]).median is None
    assert len(charts.outcomes([], span, NOW).labelled) == 3
    assert timedelta(days=6) < span.length <= timedelta(days=7)
