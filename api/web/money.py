"""Amounts as people read them; nothing here computes with money. Written as `Intl.NumberFormat("en-US")` writes them,
so that what the server renders and what a script adds up look alike.
"""

# Minor units are not always hundredths: https://docs.stripe.com/currencies#zero-decimal and #three-decimal
_ZERO_DECIMALS = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_SIGNS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "nzd": "NZ$", "inr": "₹", "krw": "₩",
    "brl": "R$", "mxn": "MX$", "cny": "CN¥", "ils": "₪", "vnd": "₫", "hkd": "HK$", "twd": "NT$", "php": "₱",
}  # fmt: skip


def digits(currency: str) -> int:
    """How many decimal places the currency's minor unit is worth."""
    code = currency.lower()
    return 0 if code in _ZERO_DECIMALS else 3 if code in _THREE_DECIMALS else 2


def format_money(amount: int, currency: str) -> str:
    """`format_money(2450, "usd")` is `$24.50`; `format_money(500, "jpy")` is `¥500`; others `SEK 24.50`."""
    places = digits(currency)
    whole, part = divmod(abs(amount), 10**places)
    number = f"{whole:,}.{part:0{places}d}" if places else f"{whole:,}"
    code = currency.lower()
    return ("-" if amount < 0 else "") + _SIGNS.get(code, f"{code.upper()}\N{NO-BREAK SPACE}") + number
