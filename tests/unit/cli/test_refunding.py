"""`checkout refund`: what is sent, under which key, and how the answer is told."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.unit.cli.conftest import ORDER_ID, Scripted, order

Checkout = Callable[..., Result]

PATH = f"/admin/orders/{ORDER_ID}/refund"
MADE = {"id": "rfd_1", "amount": 450, "state": "pending", "reason": "Goodwill", "requires_action": False}


def plan(scripted: Scripted) -> None:
    """The order is paid, and the next refund of it is taken."""
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("dispatched"))
    scripted.plan("POST", PATH, 200, {**order("dispatched"), "refund": MADE})


def test_an_amount_is_sent_in_minor_units_under_a_key_of_its_own(checkout: Checkout, scripted: Scripted) -> None:
    plan(scripted)
    keys = set()
    for _ in range(2):
        result = checkout("refund", ORDER_ID, "--amount", "4.50", "--reason", "Goodwill")
        assert result.exit_code == 0, result.output
        headers, body = scripted.sent("POST", PATH)[-1]
        assert json.loads(body) == {"amount": 450, "reason": "Goodwill"}
        keys.add(headers["Idempotency-Key"])
        assert headers["Idempotency-Key"] in result.stdout
        assert "4.50 USD, pending (Goodwill)" in result.stdout
    assert len(keys) == 2


def test_lines_are_added_up_and_goods_stay_away_when_told_so(checkout: Checkout, scripted: Scripted) -> None:
    plan(scripted)
    result = checkout("refund", ORDER_ID, "--line", "pen=2", "--line", "pen", "--no-restock", "--key", "k1")
    assert result.exit_code == 0, result.output
    headers, body = scripted.sent("POST", PATH)[0]
    assert json.loads(body) == {"lines": [{"sku": "pen", "quantity": 3}], "restock": False}
    assert headers["Idempotency-Key"] == "k1"


def test_all_that_is_left_needs_no_key(checkout: Checkout, scripted: Scripted) -> None:
    plan(scripted)
    assert checkout("refund", ORDER_ID).exit_code == 0
    headers, body = scripted.sent("POST", PATH)[0]
    assert json.loads(body) == {}
    assert "Idempotency-Key" not in headers


def test_a_refund_that_is_not_answered_yet_is_asked_for_again_under_the_same_key(
    checkout: Checkout, scripted: Scripted
) -> None:
    scripted.plan("POST", PATH, 503, {"title": "Not now"}, Retry_After="0")
    plan(scripted)
    assert checkout("refund", ORDER_ID, "--amount", "4.50").exit_code == 0
    sent = scripted.sent("POST", PATH)
    assert len(sent) == 2
    assert sent[0][0]["Idempotency-Key"] == sent[1][0]["Idempotency-Key"]


@pytest.mark.parametrize(
    "wrong",
    [("--amount", "0"), ("--amount", "4.505"), ("--line", "Pen!"), ("--amount", "1", "--line", "pen"),
     ("--amount", "1", "--restock"), ("--amount", "1", "--key", "not a key")],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_error_and_gives_nothing_back(
    checkout: Checkout, scripted: Scripted, wrong: tuple[str, ...]
) -> None:
    plan(scripted)
    assert checkout("refund", ORDER_ID, *wrong).exit_code == 2
    assert scripted.sent("POST", PATH) == []


def test_a_refusal_is_a_no_in_the_shop_s_words(checkout: Checkout, scripted: Scripted) -> None:
    problem = {"title": "So much of the payment is not left", "detail": "29.00 USD", "code": "refund-exceeds-payment"}
    scripted.plan("POST", PATH, 409, problem)
    plan(scripted)
    result = checkout("refund", ORDER_ID, "--amount", "40")
    assert result.exit_code == 1
    assert "29.00 USD" in result.stderr
