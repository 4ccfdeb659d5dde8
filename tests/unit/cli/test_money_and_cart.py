"""What is shown and what is typed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from checkout.money import money

from .conftest import BOUGHT, Scripted

Checkout = Callable[..., Result]


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (2450, "usd", "24.50 USD"),
        (5, "usd", "0.05 USD"),
        (0, "eur", "0.00 EUR"),
        (-1999, "usd", "-19.99 USD"),
        (-5, "usd", "-0.05 USD"),
        (500, "jpy", "500 JPY"),
        (-500, "KRW", "-500 KRW"),
        (1234, "bhd", "1.234 BHD"),
        (10**15 + 1, "usd", "10,000,000,000,000.01 USD"),
    ],
)
def test_money_is_shown_in_the_currency_s_own_decimals(amount: int, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown


def cart(checkout: Checkout, scripted: Scripted, *items: str) -> Any:
    """What is sent of what is typed."""
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    assert checkout("buy", *items).exit_code == 0
    return json.loads(scripted.sent("POST", "/checkout")[0][1])["items"]


def test_a_cart_is_read_in_order_and_adds_up_what_is_named_twice(checkout: Checkout, scripted: Scripted) -> None:
    assert cart(checkout, scripted, "pen:2", "notebook", "pen") == [
        {"sku": "pen", "quantity": 3},
        {"sku": "notebook", "quantity": 1},
    ]


def test_quantities_the_shop_will_refuse_are_its_business(checkout: Checkout, scripted: Scripted) -> None:
    assert cart(checkout, scripted, "pen:0", "notebook:500")[1] == {"sku": "notebook", "quantity": 500}


@pytest.mark.parametrize("item", ["", ":2", "pen:", "pen:-1", "pen:1.5", "pen:two", "pen:1:2", "a b", "pen:\u0663"])
def test_what_is_not_sku_and_quantity_is_a_usage_error(checkout: Checkout, scripted: Scripted, item: str) -> None:
    result = checkout("buy", item)
    assert (result.exit_code, "is not SKU or SKU:QUANTITY" in result.stderr) == (2, True)
    assert scripted.requests == []
