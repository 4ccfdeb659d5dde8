"""Amounts as people read them."""

from decimal import Decimal

# Currencies without minor units (docs.stripe.com/currencies#zero-decimal).
_ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def money(minor_units: int, currency: str) -> str:
    """`money(2450, "usd")` is `$24.50`; `money(2450, "sek")` is `24.50 SEK`."""
    decimals = 0 if currency in _ZERO_DECIMAL else 2
    amount = f"{Decimal(minor_units).scaleb(-decimals):,.{decimals}f}"
    sign = _SIGNS.get(currency)
    return f"{sign}{amount}" if sign else f"{amount} {currency.upper()}"
