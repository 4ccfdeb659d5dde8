"""Money as people read it. Amounts are integer minor units, as everywhere; nothing here computes with them."""

# Minor units are not always hundredths: https://docs.stripe.com/currencies#zero-decimal and #three-decimal
_ZERO_DECIMALS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
_THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


def decimals(currency: str) -> int:
    """How many decimal places the currency's minor unit is worth."""
    code = currency.lower()
    if code in _ZERO_DECIMALS:
        return 0
    return 3 if code in _THREE_DECIMALS else 2


def format_money(amount: int, currency: str) -> str:
    """`format_money(2450, "usd")` is `24.50 USD`; `format_money(500, "jpy")` is `500 JPY`."""
    places = decimals(currency)
    if places == 0:
        return f"{amount} {currency.upper()}"
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**places)
    return f"{sign}{whole}.{part:0{places}d} {currency.upper()}"
