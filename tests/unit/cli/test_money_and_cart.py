"""What is shown and what is typed."""

import pytest
import typer

from checkout.currencies import money
from cli.buy import parse_cart


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


def test_a_cart_is_read_in_order_and_adds_up_what_is_named_twice() -> None:
    assert parse_cart(["pen:2", "notebook", "pen"]) == [
        {"sku": "pen", "quantity": 3},
        {"sku": "notebook", "quantity": 1},
    ]


def test_quantities_the_shop_will_refuse_are_its_business() -> None:
    assert parse_cart(["pen:0", "notebook:500"])[1] == {"sku": "notebook", "quantity": 500}


@pytest.mark.parametrize("item", ["", ":2", "pen:", "pen:-1", "pen:1.5", "pen:two", "pen:1:2", "a b", "pen:\u0663"])
def test_what_is_not_sku_and_quantity_is_a_usage_error(item: str) -> None:
    with pytest.raises(typer.BadParameter, match="SKU"):
        parse_cart([item])
