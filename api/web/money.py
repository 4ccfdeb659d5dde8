"""Amounts as people read them, written as `Intl.NumberFormat("en-US")` writes them: what the server renders and what a
script adds up look alike."""

import json

from checkout.currencies import CURRENCIES, decimal

_SIGNS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "nzd": "NZ$", "inr": "₹", "krw": "₩",
    "brl": "R$", "mxn": "MX$", "cny": "CN¥", "ils": "₪", "vnd": "₫", "hkd": "HK$", "twd": "NT$", "php": "₱",
    "xaf": "FCFA\N{NO-BREAK SPACE}", "xof": "F\N{NARROW NO-BREAK SPACE}CFA\N{NO-BREAK SPACE}",
    "xpf": "CFPF\N{NO-BREAK SPACE}",
}  # fmt: skip
# For the scripts: `[exponent, shown]` of each currency that is not like most.
UNUSUAL = json.dumps(
    {code: [rules.exponent, rules.shown] for code, rules in CURRENCIES.items() if rules.shown != 2},
    separators=(",", ":"),
)


def format_money(amount: int, code: str) -> str:
    """`format_money(2450, "usd")` is `$24.50`; `format_money(500, "jpy")` is `¥500`; others `SEK 24.50`."""
    sign = _SIGNS.get(code.lower(), f"{code.upper()}\N{NO-BREAK SPACE}")
    return ("-" if amount < 0 else "") + sign + decimal(abs(amount), code)
