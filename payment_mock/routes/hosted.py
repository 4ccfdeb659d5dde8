"""The hosted payment page: where the customer meets the provider.

No card number ever reaches this server: a script turns a test card into a token before the form is posted, and
without script the page offers buttons. Only `http` and `https` addresses are linked (checked when they come in).
"""

import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from payment_mock import provider
from payment_mock.domain import errors, form, wire
from payment_mock.domain.money import money
from payment_mock.domain.session import Session
from payment_mock.domain.urls import fill_in
from payment_mock.faults.replies import FaultReply
from payment_mock.http import error_response, of_database, read_body
from payment_mock.service import Declined, Service

_PACKAGE = Path(__file__).parent.parent
_STATIC = {"payment.css": "text/css", "payment.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The outcome of Stripe's test payment methods (docs.stripe.com/testing).
TOKENS = {
    "pm_card_visa": None,
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


async def page(request: Request) -> Response:
    """The page of a session: the form while it can be paid, and what became of it afterwards."""
    service: Service = request.app.state.service
    try:
        session = await service.find(request.path_params["id"])
    except errors.StripeError:
        return _unknown()
    return _render(session, service)


async def pay(request: Request) -> Response:
    """Pay with a token. Paid: on to the shop. Declined: back to the form, which says so. Over: the page says what."""
    service: Service = request.app.state.service
    token = (await _form(request)).get("payment_method", "")
    if not isinstance(token, str) or token not in TOKENS:
        session = await service.find(request.path_params["id"])
        return _render(session, service, error="Use one of the test cards listed below.", status=400)
    if (decline_code := TOKENS[token]) is not None:
        return await _decline(service, request.path_params["id"], decline_code)
    try:
        session = await service.pay(request.path_params["id"])
    except provider.NotPayable as refusal:
        return _render(refusal.session, service, status=409)
    except Declined as refused:
        return await _declined(service, request.path_params["id"], refused.code)
    return RedirectResponse(fill_in(session.success_url, session.id), 303)


async def decline(request: Request) -> Response:
    """The button of a visitor without script: a card that is declined."""
    await _form(request)
    service: Service = request.app.state.service
    return await _decline(service, request.path_params["id"], "generic_decline")


async def cancel(request: Request) -> Response:
    """Give up. On Stripe's page this only leaves; in the guide it cancels, so here the session is expired first."""
    await _form(request)
    service: Service = request.app.state.service
    try:
        session = await service.cancel(request.path_params["id"])
    except provider.NotOpen as refusal:
        return _render(refusal.session, service, status=409)
    if session.cancel_url is None:
        return _render(session, service)
    return RedirectResponse(fill_in(session.cancel_url, session.id), 303)


async def static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        return Response(status_code=404)
    headers = {"x-content-type-options": "nosniff", "cache-control": "max-age=300"}
    return FileResponse(_PACKAGE / "static" / name, headers=headers, media_type=_STATIC[name])


def _guarded(handler: Any) -> Any:
    """Errors as pages, not as tracebacks: unknown sessions, refused posts, planted faults."""

    async def endpoint(request: Request) -> Response:
        try:
            response: Response = await handler(request)
        except errors.StripeError as error:
            return _unknown() if error.status == 404 else error_response(error)
        except FaultReply as fault:
            return fault.response()
        except Exception as error:
            if (known := of_database(error)) is None:
                raise
            return _unknown() if known.status == 400 else error_response(known)
        return response

    return endpoint


async def _decline(service: Service, session_id: str, decline_code: str) -> Response:
    try:
        await service.decline(session_id, decline_code)
    except provider.NotPayable as refusal:
        return _render(refusal.session, service, status=409)
    return await _declined(service, session_id, decline_code)


async def _declined(service: Service, session_id: str, decline_code: str) -> Response:
    session = await service.find(session_id)
    return _render(session, service, error=wire.decline_message(decline_code), status=402)


async def _form(request: Request) -> form.Params:
    """The posted form. A post from another site's page is refused: browsers name the page's origin."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise errors.invalid_request("This form may only be posted from the payment page.", status=403)
    return form.parse(await read_body(request, 16_384))


def _render(session: Session, service: Service, *, error: str | None = None, status: int = 200) -> Response:
    if session.status == "complete":
        state = "paid" if session.payment_status == "paid" else "processing"
    elif session.status == "expired":
        # Expired by the clock, or by a customer or shop that closed it: the customer is told which.
        state = "expired" if time.time() >= session.deadline else "cancelled"
    else:
        state = "expired" if time.time() >= session.expires_at else "open"
    html = _template("payment.html").render(
        session=session,
        state=state,
        error=error if state == "open" else None,
        total=money(session.amount_total, session.currency),
        lines=[
            {
                "description": item.description,
                "quantity": item.quantity,
                "unit": money(item.unit_amount, session.currency),
                "total": money(item.unit_amount * item.quantity, session.currency),
            }
            for item in session.line_items
        ],
        deadline=session.deadline,
        success_url=fill_in(session.success_url, session.id) if state == "paid" else None,
        cancel_url=fill_in(session.cancel_url, session.id) if session.cancel_url else None,
    )
    return Response(html, status, {**_HEADERS, "content-security-policy": _policy(session)}, "text/html")


def _policy(session: Session) -> str:
    """`form-action` also governs the redirect that answers a form: the shop's two addresses must be in it."""
    targets = {"'self'"}
    for url in filter(None, (session.success_url, session.cancel_url)):
        parts = urlsplit(url)
        targets.add(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    allowed = " ".join(sorted(target for target in targets if ";" not in target and "," not in target))
    return f"{_HEADERS['content-security-policy']}; form-action {allowed}"


def _unknown() -> Response:
    html = _template("payment.html").render(session=None, state="unknown")
    return Response(html, 404, _HEADERS, "text/html")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_PACKAGE / "templates"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Any:
    return _environment().get_template(name)


routes = [
    Route("/payment/static/{name}", static, methods=["GET"]),
    Route("/payment/{id}", _guarded(page), methods=["GET"]),
    Route("/payment/{id}/pay", _guarded(pay), methods=["POST"]),
    Route("/payment/{id}/decline", _guarded(decline), methods=["POST"]),
    Route("/payment/{id}/cancel", _guarded(cancel), methods=["POST"]),
]
