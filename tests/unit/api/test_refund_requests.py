"""What an operator may ask to have given back, and under which key."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.problems import Problem
from api.refund_requests import RefundIn, refund_wish
from checkout.ids import WHOLE_REFUND
from checkout.payments import RefundLine

PEN = {"sku": "pen", "quantity": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0}, {"amount": -1}, {"amount": 1.5}, {"amount": "100"}, {"amount": True}, {"amount": 2**63},
        {"amount": 100, "lines": [PEN]}, {"amount": 100, "restock": True}, {"lines": []}, {"lines": [PEN, PEN]},
        {"lines": [{"sku": "pen", "quantity": 0}]}, {"lines": [{"sku": "pen"}]}, {"lines": [PEN | {"price": 1}]},
        {"restock": "yes"}, {"restock": 1}, {"reason": ""}, {"reason": "x" * 201}, {"reason": "two\nlines"},
        {"sum": 100},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RefundIn.model_validate(body)


@pytest.mark.parametrize("body", [{"amount": 100}, {"lines": [PEN]}, {"lines": [PEN], "restock": False}])
def test_a_part_needs_a_key_for_a_second_one_could_not_be_told_from_a_repeat(body: dict[str, Any]) -> None:
    asked = RefundIn.model_validate(body)
    with pytest.raises(Problem) as refusal:
        refund_wish("ord_1", asked, None)
    assert (refusal.value.status, refusal.value.code) == (400, "idempotency-key-missing")
    assert refund_wish("ord_1", asked, "k1").key == "k1"


def test_all_that_is_left_is_one_wish_however_often_it_is_sent() -> None:
    wish = refund_wish("ord_1", RefundIn(), None)
    assert (wish.key, wish.amount, wish.lines, wish.restock) == (WHOLE_REFUND, None, None, None)
    assert refund_wish("ord_1", RefundIn(reason="Goodwill"), None).reason == "Goodwill"


def test_lines_are_passed_on_as_they_were_named() -> None:
    wish = refund_wish("ord_1", RefundIn.model_validate({"lines": [PEN], "restock": False}), "k1")
    assert (wish.lines, wish.restock) == ([RefundLine("pen", 1)], False)
