"""What can be charged in a currency, and how an amount is written (docs.stripe.com/currencies). Amounts are integers in
the API's minor unit: hundredths, but for the currencies below."""

from payment_mock.domain.errors import StripeError, invalid_request

_ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())  # noqa: SIM905
_THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})  # the last digit is always 0
_WHOLE = frozenset({"isk", "ugx"})  # sent in hundredths, of which the last two digits are always 0
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
_MOST, _MOST_OF = 99_999_999, {"idr": 999_999_999_999, "cop": 9_999_999_999, "inr": 999_999_999}
MOST_OF_ALL = max(_MOST_OF.values())
# By settlement currency; the simulator settles in whatever it charges.
_LEAST = {
    50: "usd ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd zar", 30: "gbp", 200: "aed myr pln ron",
    250: "dkk", 300: "nok sek", 400: "hkd", 1000: "mxn thb", 1500: "czk", 17500: "huf",
}  # fmt: skip
_LEAST_OF = {code: least for least, codes in _LEAST.items() for code in codes.split()}


def exponent(currency: str) -> int:
    """The API's minor unit is 10^-exponent."""
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


def limits(currency: str) -> tuple[int, int, int]:
    """The least and the most that can be charged, and what every amount is a multiple of."""
    step = 10 if currency in _THREE_DECIMAL else 100 if currency in _WHOLE else 1
    return max(step, _LEAST_OF.get(currency, 1)), _MOST_OF.get(currency, _MOST), step


def check_total(total: int, currency: str) -> None:
    """Raises `StripeError` (400) for what no session can be opened for."""
    least, most, step = limits(currency)
    if total > most:
        raise _refusal(f"no more than {money(most, currency)} ({most} minor units)", "amount_too_large", "line_items")
    if total < least:
        raise _refusal(f"at least {money(least, currency)} ({least} minor units)", "amount_too_small")
    if total % step:
        raise _refusal(f"a multiple of {step} minor units of {currency}", "invalid_charge_amount", "line_items")


def _refusal(rule: str, code: str, param: str | None = None) -> StripeError:
    return invalid_request(f"The Checkout Session's total amount must be {rule}.", param=param, code=code)


def money(minor_units: int, currency: str) -> str:
    """`money(2450, "usd")` is `$24.50`; `money(2450, "sek")` is `24.50 SEK`."""
    places = exponent(currency)
    whole, part = divmod(minor_units, 10**places)
    amount = f"{whole:,}" if not places or (currency in _WHOLE and not part) else f"{whole:,}.{part:0{places}d}"
    sign = _SIGNS.get(currency)
    return f"{sign}{amount}" if sign else f"{amount} {currency.upper()}"
