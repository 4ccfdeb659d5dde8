"""From a template to an answer, with the headers every page has; and back, from a form to its fields.

What people read stands in the templates; the code says which of it is so. The engine is loaded with the first page: a
gateway that comes back after a crash answers machines at once.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from api.web.assets import asset_url, picture_url
from checkout.currencies import CURRENCIES, decimal
from runtime.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

# Amounts as `Intl.NumberFormat("en-US")` writes them: what the server renders and what a script adds up look alike.
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
DEEPEST = 100_000  # pages
_FOLDER = Path(__file__).parent / "templates"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
)


def format_money(amount: int, code: str) -> str:
    """`format_money(2450, "usd")` is `$24.50`; `format_money(500, "jpy")` is `¥500`; others `SEK 24.50`."""
    sign = _SIGNS.get(code.lower(), f"{code.upper()}\N{NO-BREAK SPACE}")
    return ("-" if amount < 0 else "") + sign + decimal(abs(amount), code)


async def posted_fields(request: Request) -> dict[str, str]:
    """The first value of each; whatever is no form has none. Raises 413 (`api.middleware.Entrance`)."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in fields.items()}


def page(
    template: str,
    status: int = 200,
    /,
    *,
    headers: dict[str, str] | None = None,
    form_action: str = "'self'",
    pictures: str = "'self'",
    **values: Any,
) -> HTMLResponse:
    """Render a page. `form_action` is where its forms may lead, redirects included (CSP level 3, form-action), and
    `pictures` from where it may load pictures."""
    html = environment().get_template(template).render(**values)
    policy = _POLICY.format(form_action=form_action, pictures=pictures)
    usual = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "Vary": "Accept"}
    return HTMLResponse(html, status, usual | (headers or {}))


def see_other(url: str, headers: dict[str, str] | None = None) -> RedirectResponse:
    return RedirectResponse(url, 303, headers)


def payment_targets(settings: Settings) -> str:
    """Where a form that buys may lead: here, and on to the payment service's page, wherever that is."""
    return "'self' https:" if not settings.is_development else "'self' http: https:"


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: it names HTML before anything else, which no API client does."""
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip() == "text/html"


@cache
def environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "money": format_money,
        "instant": _instant,
        "clock": _clock,
        "thousands": "{:,}".format,
        "ago": _ago,
    }
    environment.globals |= {"asset": asset_url, "picture": picture_url, "currencies": UNUSUAL}
    return environment


def _instant(at: datetime) -> str:
    """For `<time datetime>`: RFC 3339, UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(at: datetime) -> str:
    """For people without script; with script it becomes their own time."""
    return at.astimezone(UTC).strftime("%-d %b, %H:%M:%S UTC")


def _ago(seconds: float) -> str:
    """A length of time in its largest unit: `42 s`, `5 min`, `3 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
