"""How the payment provider counts money, how people read it, and what can be charged: the shop's one table of
currencies. Amounts are integer minor units *of the provider's API*, everywhere: usually hundredths.

Not so: currencies without minor units; those of thousandths, of which the last digit must be 0; and two that gave their
minor units up, and which the API counts in hundredths all the same: 5 UGX are 500.
Sources: Stripe, "Supported currencies" (docs.stripe.com/currencies), "Create a Checkout Session".
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Currency:
    """`exponent`: the API's minor unit is 10^-exponent. `shown`: decimals people write. What can be charged is a
    multiple of `step`, from `minimum` to `maximum` (minor units)."""

    exponent: int = 2
    shown: int = 2
    step: int = 1
    minimum: int = 1
    maximum: int = 99_999_999


MAX_PRODUCT_NAME = 250  # characters
MAX_LINE_ITEMS = 100
_ZERO = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE = "bhd jod kwd omr tnd"
# Hundredths to the API for compatibility, always whole. (HUF and TWD are so for payouts only: charges have decimals.)
_WHOLE_HUNDREDTHS = "isk ugx"
# "Minimum charge amount by currency". It is the settlement currency's that counts: for an account that settles in
# another one the provider converts, and may refuse a little more than this.
_MINIMUM = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000,
    "zar": 50,
}  # fmt: skip
_MAXIMUM = {"idr": 999_999_999_999, "cop": 9_999_999_999, "inr": 999_999_999}  # all others: eight digits


def _row(code: str, exponent: int, shown: int, step: int) -> Currency:
    return Currency(exponent, shown, step, max(step, _MINIMUM.get(code, 1)), _MAXIMUM.get(code, 99_999_999))


CURRENCIES: dict[str, Currency] = (
    {code: _row(code, 2, 2, 1) for code in (*_MINIMUM, *_MAXIMUM)}
    | {code: _row(code, 0, 0, 1) for code in _ZERO.split()}
    | {code: _row(code, 3, 3, 10) for code in _THREE.split()}
    | {code: _row(code, 2, 0, 100) for code in _WHOLE_HUNDREDTHS.split()}
)
_USUAL = Currency()


def currency(code: str) -> Currency:
    """What is known of a currency (ISO 4217, either case); of the others, that they are like most."""
    return CURRENCIES.get(code.lower(), _USUAL)


def decimal(amount: int, code: str) -> str:
    """`decimal(245000, "usd")` is `2,450.00`, `decimal(500000, "ugx")` is `5,000`: minor units as people write them."""
    rules = currency(code)
    whole, part = divmod(abs(amount), 10**rules.exponent)
    digits = f"{part:0{rules.exponent}d}" if rules.exponent else ""
    if not digits[rules.shown :].strip("0"):
        digits = digits[: rules.shown]
    number = f"{whole:,}.{digits}" if digits else f"{whole:,}"
    return f"-{number}" if amount < 0 else number


def minor_units(text: str, code: str) -> int:
    """What people write as minor units: `minor_units("24.50", "usd")` is 2450, `minor_units("1,500", "jpy")` is 1500.

    Raises `ValueError`, with a sentence, for what is no amount of the currency above nothing.
    """
    rules = currency(code)
    exponent = rules.exponent
    match = re.fullmatch(r"([0-9]{1,3}(?:,[0-9]{3}){0,4}|[0-9]{1,15})(?:\.([0-9]+))?", text.strip(), re.ASCII)
    digits = (match[2] or "").rstrip("0") if match else ""
    if match is None or len(digits) > exponent:
        like = decimal(450 * 10 ** max(exponent - 2, 0) if rules.shown else 5 * 10**exponent, code)
        raise ValueError(f"{text!r} is no amount in {code.upper()}: write it like {like}")
    amount: int = int(match[1].replace(",", "")) * 10**exponent + int(digits.ljust(exponent, "0") or 0)
    if amount == 0:
        raise ValueError("the amount must be more than nothing")
    if amount % rules.step:
        raise ValueError(f"amounts in {code.upper()} are multiples of {decimal(rules.step, code)}")
    return amount


def money(amount: int, code: str) -> str:
    """`money(2450, "usd")` is `24.50 USD`, `money(500, "jpy")` is `500 JPY`."""
    return f"{decimal(amount, code)} {code.upper()}"


def product_faults(name: str, unit_amount: int, code: str) -> dict[str, str]:
    """What of a product could never be sold: sentences by field (`name`, `unit_amount`); empty when it can."""
    faults: dict[str, str] = {}
    rules = currency(code)
    if not name.strip():
        faults["name"] = "a product needs a name"
    elif len(name) > MAX_PRODUCT_NAME:
        faults["name"] = f"the payment service takes at most {MAX_PRODUCT_NAME} characters, not {len(name)}"
    if unit_amount % rules.step:
        faults["unit_amount"] = f"amounts in {code.upper()} are multiples of {rules.step}"
    elif not 1 <= unit_amount <= rules.maximum:
        faults["unit_amount"] = f"must be from 1 to {rules.maximum} minor units"
    return faults


def cart_fault(amount_total: int, code: str, line_items: int = 1) -> str | None:
    """Why a cart cannot be paid, in a sentence for its buyer; None when it can. `amount_total` in minor units."""
    rules = currency(code)
    if line_items > MAX_LINE_ITEMS:
        return f"a cart holds at most {MAX_LINE_ITEMS} different products, not {line_items}"
    total = money(amount_total, code)
    if amount_total < rules.minimum:
        return f"the payment service takes payments from {money(rules.minimum, code)} on; this one is {total}"
    if amount_total > rules.maximum:
        return f"the payment service takes payments up to {money(rules.maximum, code)}; this one is {total}"
    if amount_total % rules.step:
        return f"amounts in {code.upper()} are multiples of {rules.step} minor units"
    return None
