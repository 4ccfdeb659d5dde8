"""The hosted payment page. No card number ever reaches this server: a script turns a test card into a token before the
form is posted, and without script the page offers buttons."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from payment_mock.domain import errors, form, payments
from payment_mock.domain.methods import DECLINED, METHODS
from payment_mock.domain.money import money
from payment_mock.domain.objects import Session
from payment_mock.domain.payments import Declined, NotOpen, NotPayable
from payment_mock.routes.edge import read_body, rendered
from payment_mock.service import Service

_PACKAGE = Path(__file__).parent.parent
_STATIC = {"payment.css": "text/css", "payment.js": "text/javascript", "icon.svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}

_TEMPLATE = Environment(
    loader=FileSystemLoader(_PACKAGE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
).get_template("payment.html")


async def page(service: Service, request: Request) -> Response:
    """The page of a session: the form while it can be paid, and what became of it afterwards."""
    return _render(await service.find(request.path_params["id"]))


async def pay(service: Service, request: Request, token: str | None = None) -> Response:
    """Pay with a token, or the posted one. Paid: on to the shop. Declined: back to the form, which says so."""
    posted = (await _form(request)).get("payment_method", "")
    session = await service.find(request.path_params["id"])
    if token is None and not session.takes(posted):
        return _render(session, error="Use one of the test cards listed below.", status=400)
    try:
        session = await service.pay(session.id, token or posted)
    except Declined as refused:
        return _render(await service.find(session.id), error=str(refused), status=402)
    return RedirectResponse(fill_in(session.success_url, session.id), 303)


async def cancel(service: Service, request: Request) -> Response:
    """Give up. On Stripe's page this only leaves; in the guide it cancels, so here the session is expired first."""
    await _form(request)
    session = (await service.change(request.path_params["id"], payments.cancel)).session
    return RedirectResponse(fill_in(session.cancel_url, session.id), 303) if session.cancel_url else _render(session)


async def static(_: Service, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        return Response(status_code=404)
    headers = {"x-content-type-options": "nosniff", "cache-control": "max-age=300"}
    return FileResponse(_PACKAGE / "static" / name, headers=headers, media_type=_STATIC[name])


def _route(method: str, path: str, handler: Callable[[Service, Request], Awaitable[Response]]) -> Route:
    """Errors as pages, not as tracebacks: unknown sessions, those that are over, refused posts, planted faults."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request.app.state.service, request)
        except (NotPayable, NotOpen) as refusal:
            return _render(refusal.session, status=409)
        except Exception as error:
            known = await rendered(request, error)
            is_unknown = known.status_code == 404 or (known.status_code == 400 and method == "GET")
            return _render(None, status=404) if is_unknown else known

    return Route(path, endpoint, methods=[method])


async def _form(request: Request) -> form.Form:
    """The posted form. A post from another site's page is refused: browsers name the page's origin."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise errors.invalid_request("This form may only be posted from the payment page.", status=403)
    return form.parse(await read_body(request, 16_384))


def fill_in(url: str, session_id: str) -> str:
    """Replace Stripe's `{CHECKOUT_SESSION_ID}` placeholder (docs.stripe.com/payments/checkout/custom-success-page)."""
    return url.replace("{CHECKOUT_SESSION_ID}", quote(session_id, safe=""))


def _render(session: Session | None, *, error: str | None = None, status: int = 200) -> Response:
    html = _TEMPLATE.render(
        session=session, state=_state(session), error=error, money=money, methods=METHODS, fill_in=fill_in
    )
    policy = {"content-security-policy": f"{_POLICY}; form-action {_targets(session)}"} if session else {}
    return Response(html, status, _HEADERS | policy, "text/html")


def _state(session: Session | None) -> str:
    if session is None:
        return "unknown"
    if session.status == "complete":
        return "paid" if session.is_paid else "processing" if session.is_processing else "failed"
    if session.status == "expired":
        # By the clock, or by a customer or shop that closed it: the customer is told which.
        return "expired" if time.time() >= session.deadline else "cancelled"
    return "expired" if time.time() >= session.expires_at else "open"


def _targets(session: Session) -> str:
    """`form-action` also governs the redirect that answers a form: the shop's two addresses must be in it."""
    parts = [urlsplit(url) for url in (session.success_url, session.cancel_url) if url]
    targets = {"'self'", *(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts)}
    return " ".join(sorted(target for target in targets if ";" not in target and "," not in target))


routes = [
    _route("GET", "/payment/static/{name}", static),
    _route("GET", "/payment/{id}", page),
    _route("POST", "/payment/{id}/pay", pay),
    _route("POST", "/payment/{id}/decline", partial(pay, token=DECLINED)),  # the button of a visitor without script
    _route("POST", "/payment/{id}/cancel", cancel),
]
