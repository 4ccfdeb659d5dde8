"""From a template to an answer, with the headers every page has; and back, from a form to its fields. What people read
stands in the templates; the code says which of it is so."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from api.problems import Problem
from api.web.assets import asset_url, picture_url
from checkout.money import CURRENCIES, decimal
from runtime.settings import Settings

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
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
)


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
    `pictures` from where it may load pictures. It is kept nowhere, unless `headers` say so (`api.middleware.edge`)."""
    html = environment().get_template(template).render(**values)
    policy = _POLICY.format(form_action=form_action, pictures=pictures)
    return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Vary": "Accept"} | (headers or {}))


def problem_page(request: Request, problem: Problem) -> Response:
    """The problem, or a wait, told to people (`message.html`), with the cart that was sent, if one was."""
    return page(
        "message.html",
        problem.status,
        headers=problem.headers,
        form_action=payment_targets(request.app.state.settings),
        problem=problem,
        cart=_cart(request, problem),
    )


def _cart(request: Request, problem: Problem) -> dict[str, Any] | None:
    """The form that was sent (`api.routes.checkout` keeps it), and its lines at the prices that are told now."""
    form: dict[str, Any] = getattr(request.state, "form", {})
    # A field of the form may be called "items" as well: that is no cart, but a text.
    if not isinstance(form.get("items"), list):
        return None
    prices = {
        each["sku"]: {"expected_unit_amount": each["unit_amount"], "expected_currency": each["currency"]}
        for each in problem.members.get("products", [])
    }
    return {"email": ""} | form | {"lines": [item | prices.get(item["sku"], {}) for item in form["items"]]}


def payment_targets(settings: Settings) -> str:
    """Where a form that buys may lead: here, and on to the payment service's page, wherever that is."""
    return "'self' https:" if not settings.is_development else "'self' http: https:"


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: it names HTML before anything else, which no API client does."""
    return first_accepted(request) == "text/html"


def first_accepted(request: Request) -> str:
    """The media type that `Accept` names first."""
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip()


async def posted_fields(request: Request) -> dict[str, str]:
    """A form's fields, the first value of each; none for a body that is no form. Raises 413
    (`api.middleware.entrance`)."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in fields.items()}


def format_money(amount: int, code: str) -> str:
    """`format_money(2450, "usd")` is `$24.50`; `format_money(500, "jpy")` is `¥500`; others `SEK 24.50`."""
    sign = _SIGNS.get(code.lower(), f"{code.upper()}\N{NO-BREAK SPACE}")
    return ("-" if amount < 0 else "") + sign + decimal(abs(amount), code)


def _instant(at: datetime) -> str:
    """For `<time datetime>`: RFC 3339, UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(at: datetime) -> str:
    """UTC, for people without script; a script writes it in their own time zone."""
    return at.astimezone(UTC).strftime("%-d %b, %H:%M:%S UTC")


def _ago(seconds: float) -> str:
    """A length of time in its largest unit: `42 s`, `5 min`, `3 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


@cache
def environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = {"money": format_money, "instant": _instant, "clock": _clock, "thousands": "{:,}".format, "ago": _ago}
    environment.filters |= filters
    environment.globals |= {"asset": asset_url, "picture": picture_url, "currencies": UNUSUAL}
    return environment
