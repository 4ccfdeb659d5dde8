"""The shop's table of currencies, and the payment service's own, against Stripe's lists (docs.stripe.com/currencies)"""

import json
import re

import pytest

from api.web.rendering import UNUSUAL, format_money
from checkout.money import CURRENCIES, cart_fault, currency, decimal, minor_units, money, product_faults
from payment_mock.domain import money as theirs
from payment_mock.domain.errors import StripeError

# As published, July 2026. UGX stands among the zero-decimal ones there, and again among the special cases, which say
# how its amounts are sent; the three-decimal ones as published until 2023, and still offered.
ZERO_DECIMAL = set("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split())  # noqa: SIM905
THREE_DECIMAL = {"bhd", "jod", "kwd", "omr", "tnd"}
SENT_WITH_TWO_DECIMALS_OF_ZERO = {"isk", "ugx"}
ZERO_DECIMAL_FOR_PAYOUTS_ONLY = {"huf", "twd"}
MINIMUM = """
0.50 USD, 2.00 AED, 0.50 ARS, 0.50 AUD, 0.50 BRL, 0.50 CAD, 0.50 CHF, 0.50 COP, 15.00 CZK, 2.50 DKK, 0.50 EUR,
0.30 GBP, 4.00 HKD, 175.00 HUF, 0.50 IDR, 0.50 ILS, 0.50 INR, 50 JPY, 50 KRW, 10.00 MXN, 2.00 MYR, 3.00 NOK, 0.50 NZD,
0.50 PHP, 2.00 PLN, 2.00 RON, 0.50 RUB, 3.00 SEK, 0.50 SGD, 10.00 THB, 0.50 ZAR"""
DIGITS = {"idr": 12, "cop": 10, "inr": 9}  # of the greatest amount; all others: 8
EVERY = sorted(CURRENCIES.keys() | ZERO_DECIMAL | THREE_DECIMAL | ZERO_DECIMAL_FOR_PAYOUTS_ONLY | {"usd", "gel"})


@pytest.mark.parametrize("code", EVERY)
def test_an_amount_is_counted_as_stripe_counts_it_in_both_tables(code: str) -> None:
    sent_with = 3 if code in THREE_DECIMAL else 0 if code in ZERO_DECIMAL - SENT_WITH_TWO_DECIMALS_OF_ZERO else 2
    step = 10 if code in THREE_DECIMAL else 100 if code in SENT_WITH_TWO_DECIMALS_OF_ZERO else 1
    shown = 0 if code in ZERO_DECIMAL | SENT_WITH_TWO_DECIMALS_OF_ZERO else sent_with
    rules = currency(code)
    assert (rules.exponent, rules.shown, rules.step) == (sent_with, shown, step)
    assert rules.maximum == 10 ** DIGITS.get(code, 8) - 1
    assert theirs.exponent(code) == sent_with
    assert theirs.limits(code) == (rules.minimum, rules.maximum, step)
    assert theirs.money(123_000, code).split(" ")[0].lstrip("$€£¥") == money(123_000, code).split(" ")[0]


def test_the_smallest_charges_are_the_published_ones() -> None:
    published = {entry.strip()[-3:].lower(): entry.strip() for entry in MINIMUM.split(",")}
    named = {code: money(rules.minimum, code) for code, rules in CURRENCIES.items() if code in published}
    assert named == published
    assert all(currency(code).minimum == currency(code).step for code in EVERY if code not in published)


@pytest.mark.parametrize(
    ("amount", "code", "shop", "line"),
    [
        (500_000, "ugx", "UGX\u00a05,000", "5,000 UGX"),
        (500, "isk", "ISK\u00a05", "5 ISK"),
        (5_120, "kwd", "KWD\u00a05.120", "5.120 KWD"),
        (80_045, "twd", "NT$800.45", "800.45 TWD"),
        (1_045, "huf", "HUF\u00a010.45", "10.45 HUF"),
        (500_050, "ugx", "UGX\u00a05,000.50", "5,000.50 UGX"),  # cannot be charged: shown as it is, not rounded
    ],
)
def test_money_is_shown_as_it_is_charged(amount: int, code: str, shop: str, line: str) -> None:
    assert (format_money(amount, code), money(amount, code)) == (shop, line)
    assert theirs.money(amount, code) == line


def test_the_scripts_are_told_of_every_currency_that_is_not_like_most() -> None:
    told = json.loads(UNUSUAL)
    assert told["ugx"] == [2, 0]
    assert told.keys() == ZERO_DECIMAL | THREE_DECIMAL | SENT_WITH_TWO_DECIMALS_OF_ZERO


@pytest.mark.parametrize(
    ("amount", "code", "told"),
    [
        (1, "usd", "from 0.50 USD on; this one is 0.01 USD"),
        (120_000_000, "usd", "up to 999,999.99 USD; this one is 1,200,000.00 USD"),
        (17_499, "huf", "from 175.00 HUF on"),
        (500_050, "ugx", "multiples of 100"),
        (5_124, "kwd", "multiples of 10"),
    ],
)
def test_a_cart_that_cannot_be_paid_is_told_by_which_limit_and_the_payment_service_agrees(
    amount: int, code: str, told: str
) -> None:
    assert told in str(cart_fault(amount, code))
    with pytest.raises(StripeError):
        theirs.check_total(amount, code)


@pytest.mark.parametrize(("amount", "code"), [(50, "usd"), (99_999_999, "usd"), (50, "jpy"), (10**12 - 1, "idr")])
def test_the_limits_themselves_can_be_paid(amount: int, code: str) -> None:
    assert cart_fault(amount, code, line_items=100) is None
    theirs.check_total(amount, code)


def test_a_product_that_could_never_be_sold_is_told_why() -> None:
    assert product_faults("Pen", 1, "usd") == {}  # fifty of them can
    assert product_faults("x" * 250, 99_999_999, "usd") == {}
    assert product_faults("x" * 460, 1000, "usd").keys() == {"name"}
    assert product_faults(" ", 0, "usd").keys() == {"name", "unit_amount"}
    assert product_faults("Pen", 100_000_000, "usd").keys() == {"unit_amount"}
    assert product_faults("Pen", 550, "ugx").keys() == {"unit_amount"}
    assert "at most 100" in str(cart_fault(1000, "usd", line_items=101))


@pytest.mark.parametrize(
    ("text", "code", "amount"),
    [("24.50", "usd", 2450), ("24.5", "usd", 2450), ("24", "usd", 2400), ("1,234.05", "eur", 123_405),
     (" 7 ", "usd", 700), ("1500", "jpy", 1500), ("1.500", "bhd", 1500), ("5", "ugx", 500), ("0.01", "usd", 1)],
)  # fmt: skip
def test_what_people_write_is_read_as_minor_units(text: str, code: str, amount: int) -> None:
    assert minor_units(text, code) == amount
    assert minor_units(decimal(amount, code), code) == amount


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-1", "1.234", "1.5.0", "1,23", "1e3", "12,3456.00", "$5", "٣", "9" * 30]
)
def test_what_is_no_amount_is_refused_and_never_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        minor_units(text, "usd")


@pytest.mark.parametrize(("text", "code", "like"), [("4.50", "ugx", "1"), ("1.234", "kwd", "0.010")])
def test_what_the_payment_service_cannot_take_in_a_currency_is_no_amount(text: str, code: str, like: str) -> None:
    with pytest.raises(ValueError, match=rf"multiples of {re.escape(like)}"):
        minor_units(text, code)


def test_the_example_in_a_refusal_is_an_amount() -> None:
    for code in CURRENCIES:
        with pytest.raises(ValueError, match="write it like") as refusal:
            minor_units("much", code)
        assert minor_units(str(refusal.value).rpartition(" ")[2], code)
