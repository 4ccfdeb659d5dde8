"""From a template to an answer, with the headers every page has.

The engine is loaded with the first page: a gateway that comes back after a crash answers machines at once.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import HTMLResponse

from api.web.assets import asset_url, picture_url
from api.web.money import UNUSUAL, format_money
from runtime.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent / "templates"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{pictures}; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
)


def page(
    template: str,
    status: int = 200,
    *,
    headers: dict[str, str] | None = None,
    form_action: str = "'self'",
    pictures: str = "",
    **values: Any,
) -> HTMLResponse:
    """Render a page. `form_action` is where its forms may lead, redirects included (CSP level 3, form-action), and
    `pictures` the origins from which it may load pictures besides this one."""
    html = _environment().get_template(template).render(**values)
    policy = _POLICY.format(form_action=form_action, pictures=f" {pictures}" if pictures else "")
    return HTMLResponse(
        html,
        status,
        {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "Vary": "Accept"} | (headers or {}),
    )


def payment_targets(settings: Settings) -> str:
    """Where a form that buys may lead: here, and on to the payment service's page, wherever that is."""
    return "'self' https:" if not settings.is_development else "'self' http: https:"


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: it names HTML before anything else, which no API client does."""
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip() == "text/html"


@cache
def _environment() -> "Environment":
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


def _ago(seconds: float) -> str:
    """A length of time in its largest unit: `42 s`, `5 min`, `3 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _clock(at: datetime) -> str:
    """For people without script; with script it becomes their own time."""
    return at.astimezone(UTC).strftime("%-d %b, %H:%M:%S UTC")
