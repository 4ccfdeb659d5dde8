"""Money, the order's story and the console's charts."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api import board
from api.order_views import OrderOut
from api.web.rendering import environment, format_money
from api.web.shop.pages import story_of
from checkout.orders import OrderStatus, Reason
from db.insights import OutcomeCount, StockLevel

from .reading import OrderPage

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
    assert [step.state for step in story_of(_order(status, WAY[:happened])).steps] == states


def test_an_order_that_ended_has_no_step_to_come_and_says_why() -> None:
    order = _order(OrderStatus.CANCELLED, ["reserved", "awaiting_payment", "cancelled"], Reason.TIMEOUT)
    story, shown = story_of(order), OrderPage(order)
    assert [(step.kind, step.state) for step in story.steps] == [
        ("reserved", "done"),
        ("awaiting_payment", "done"),
        ("cancelled", "failed"),
    ]
    assert shown.lead.startswith("The time to pay was over. Nothing was charged")
    assert "The time to pay was over." in shown.steps[-1]
    assert story.is_over


def test_what_was_out_of_stock_is_named() -> None:
    shown = OrderPage(_order(OrderStatus.REJECTED, ["rejected"], Reason.OUT_OF_STOCK, skus=["pen"]))
    assert shown.lead.startswith("Not enough left of: Pen. ")


@pytest.mark.parametrize("reason", [None, *Reason])
@pytest.mark.parametrize("status", OrderStatus)
def test_whatever_becomes_of_an_order_there_are_words_for_it(status: OrderStatus, reason: Reason | None) -> None:
    shown = OrderPage(_order(status, [*WAY, "payment_processing", status.value], reason))
    assert shown.title
    assert shown.lead


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_live or status.value == "cancelled"])
def test_nobody_who_has_not_paid_is_thanked(status: OrderStatus) -> None:
    shown = OrderPage(_order(status, ["reserved"], Reason.CUSTOMER if status is OrderStatus.CANCELLED else None))
    assert "thank" not in (shown.title + shown.lead + "".join(shown.steps)).lower()


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
    order = _with_money(OrderStatus(status), payment)
    shown = OrderPage(order)
    assert shown.title == title
    assert badge in shown.payment
    is_back = payment["status"] == "refunded"
    assert ("whole amount was given back" in shown.lead) == is_back
    assert story_of(order).is_over == (
        is_back or not (payment.get("refund_pending") or payment["status"] == "refund_due")
    )


def test_a_refund_that_failed_is_told_as_one_that_is_tried_again() -> None:
    payment = {"status": "paid", "paid": 1000, "kept": 1000, "refund_pending": 500}
    refunds = [_refund(500, "failed"), _refund(500, "pending")]
    shown = OrderPage(_with_money(OrderStatus.DISPATCHED, payment, refunds=refunds))
    assert shown.refunds == ["Refund did not reach you; it is tried again", "Refund on its way back"]


def test_what_is_held_back_is_not_told_as_being_packed() -> None:
    dispute = {"id": "du_1", "amount": 1000, "state": "needs_response", "is_open": True, "at": NOW}
    order = _order(OrderStatus.FULFILLED, WAY[:4]).model_dump(mode="json")
    held = {"payment": order["payment"] | {"status": "paid", "paid": 1000, "kept": 1000}, "disputes": [dispute]}
    shown = OrderPage(OrderOut.model_validate(order | held | {"dispatch": {"status": "held", "progress": 0}}))
    assert (shown.title, shown.payment) == ("Paid, and held back for now", "disputed")
    assert "Your bank disputes the payment" in shown.lead
    assert "Held back for now." in shown.steps[-1]
    assert "packed" not in shown.title + shown.steps[-1]


def test_who_waits_for_a_bank_is_asked_to_do_nothing() -> None:
    happened = [*WAY[:2], "payment_processing"]
    order = _order(OrderStatus.PAYMENT_PROCESSING, happened).model_dump(mode="json")
    payment = order["payment"] | {"status": "processing", "processing_until": NOW}
    waiting = OrderOut.model_validate(order | {"payment": payment})
    story, shown = story_of(waiting), OrderPage(waiting)
    assert "do nothing" in shown.lead
    assert "do not pay again" in shown.lead
    assert [(step.kind, step.state) for step in story.steps][1:4] == [
        ("awaiting_payment", "done"),
        ("payment_processing", "now"),
        ("paid", "todo"),
    ]
    assert not story.is_over


def test_each_order_is_in_the_column_of_its_time_and_none_is_lost() -> None:
    span = board.SPANS["hour"]
    until = span.end(NOW)
    assert until - NOW == span.step
    rows = [
        OutcomeCount(until - span.step, "dispatched", 3),
        OutcomeCount(until - span.step, "cancelled", 1),
        OutcomeCount(until - span.length, "rejected", 2),
    ]
    chart = board.outcomes(rows, span, until)
    assert chart.columns[-1] == {"kept": 3, "cancelled": 1}
    assert chart.columns[0] == {"rejected": 2}
    assert chart.top == 5
    assert ">2</span>" in _drawn("legend", {"rejected": "refused"}, chart)


def test_a_column_is_its_parts_one_upon_the_other() -> None:
    chart = board.Chart(["12:00"], [Counter(kept=3, cancelled=1)])
    drawn = _drawn("columns", chart, ["kept", "live", "cancelled"], "Orders")
    assert [float(y) + float(height) for y, height in re.findall(r' y="([0-9.]+)" .*height="([0-9.]+)"', drawn)] == [
        100.0,
        40.0,
    ]
    assert re.findall(r'class="c-(kept|live|cancelled)".*height="([0-9.]+)"', drawn) == [
        ("kept", "60.0"),
        ("cancelled", "20.0"),
    ]


def test_a_product_s_stock_is_one_row_of_what_is_left_held_and_sold() -> None:
    drawn = _drawn("stock_rows", [StockLevel("pen", "Pen", 1000, "usd", 50, False, 0, 150)])
    assert re.findall(r'class="c-(left|live|sold)" x="([0-9.]+)" width="([0-9.]+)"', drawn) == [
        ("left", "0", "25.0"),
        ("sold", "25.0", "75.0"),
    ]


def _drawn(macro: str, *values: Any) -> str:
    return str(getattr(environment().get_template("console/parts.html").module, macro)(*values))


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (5, 5), (6, 10), (11, 20), (501, 1000)])
def test_the_height_of_a_chart_is_a_number_people_can_read(highest: int, top: int) -> None:
    assert board.Chart([""], [Counter(kept=highest)]).top == top


def test_an_empty_shop_has_charts_too() -> None:
    span = board.SPANS["week"]
    assert board.outcomes([], span, NOW).top == board.time_to_pay([]).top == 1
    assert len(re.findall("<span>", _drawn("columns", board.outcomes([], span, NOW), ["kept"], "Orders"))) == 3
    assert timedelta(days=6) < span.length <= timedelta(days=7)
