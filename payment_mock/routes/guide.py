"""The endpoints of DBOS's guide: the simulator's customer side, which needs no key. Errors are Stripe's objects."""

import json
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from payment_mock.domain import errors, form, payments
from payment_mock.domain.methods import CARD
from payment_mock.domain.money import MOST_OF_ALL
from payment_mock.domain.objects import Opening, Session, session_of
from payment_mock.domain.params import NewSession, is_address
from payment_mock.routes.edge import Body, TheService, read_body
from payment_mock.service import Service

router = APIRouter(prefix="/api", tags=["guide"])
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Item(Body):
    """`price` is for one unit, in minor units of the currency."""

    description: str = Field(min_length=1, max_length=250)
    quantity: Annotated[int, Field(strict=True, ge=1, le=999_999)]
    price: Annotated[int, Field(strict=True, ge=0, le=MOST_OF_ALL)]


class NewPaymentSession(Body):
    webhook: str | None = Field(None, description="where this session's events go; only hosts of this machine")
    success_url: str
    cancel_url: str
    items: list[Item] = Field(min_length=1, max_length=100)
    currency: str = Field("usd", pattern="^[a-z]{3}$")
    client_reference_id: str | None = Field(None, max_length=200)

    def as_form(self) -> form.Form:
        """The same in Stripe's parameters."""
        lines = {
            str(number): {
                "quantity": str(item.quantity),
                "price_data": {
                    "currency": self.currency,
                    "unit_amount": str(item.price),
                    "product_data": {"name": item.description},
                },
            }
            for number, item in enumerate(self.items)
        }
        same = self.model_dump(include={"success_url", "cancel_url", "client_reference_id"})
        return {"mode": "payment", "line_items": lines, **same}


class PaymentSession(BaseModel):
    """`payment_status` is pending, paid or cancelled."""

    session_id: str
    url: str
    payment_status: str


@router.post("/create_payment_session")
async def create_payment_session(service: TheService, new: NewPaymentSession) -> PaymentSession:
    webhook_url = check_webhook_url(new.webhook, service.settings.webhook_url) if new.webhook else None
    session = replace(session_of(NewSession.of(new.as_form())), webhook_url=webhook_url)
    await service.perform(lambda work, given: work.create(given.session), Opening(session), "create", session)
    return _shown(service, await service.find(session.id))


@router.get("/session/{session_id}")
async def session(service: TheService, session_id: str) -> PaymentSession:
    return _shown(service, await service.find(session_id))


@router.get("/session_info/{session_id}")
async def session_info(service: TheService, session_id: str) -> dict[str, Any]:
    """The session with its items, amounts (minor units) and addresses."""
    found = await service.find(session_id)
    names = ("client_reference_id", "amount_total", "currency", "success_url", "cancel_url", "expires_at")
    items = [
        {"description": item["description"], "quantity": item["quantity"], "price": item["unit_amount"]}
        for item in found.line_items
    ]
    told = {name: getattr(found, name) for name in names} | {"items": items}
    return _shown(service, found).model_dump() | told


@router.post("/submit_payment", status_code=204, response_class=Response)
async def submit_payment(service: TheService, request: Request) -> Response:
    """Pay; by a `payment_method` other than a card that pays, if it is given: `pm_usBankAccount_success`, for one.

    204 also when it is paid already; 404 unknown; 409 expired or cancelled; 402 declined.
    """
    session_id, token = await _named(request)
    if token != CARD and not (await service.find(session_id)).takes(token):
        raise errors.invalid_request("This session cannot be paid by such a payment method.", param="payment_method")
    await service.pay(session_id, token)
    return Response(status_code=204)


@router.post("/cancel_payment", status_code=204, response_class=Response)
async def cancel_payment(service: TheService, request: Request) -> Response:
    """Give up: the session is expired and `checkout.session.expired` sent. 404 unknown; 409 when it is paid."""
    try:
        await service.change((await _named(request))[0], payments.cancel)
    except payments.NotOpen:
        raise errors.invalid_request(
            "This session cannot be cancelled: it is already complete.", code="session_already_complete", status=409
        ) from None
    return Response(status_code=204)


def check_webhook_url(url: str, configured: str) -> str:
    """A session's own webhook address, as in the guide. Raises `StripeError` (400).

    Decision: a server that posts to any address a client names is a tool for server-side request forgery. So only
    the configured endpoint and loopback hosts (the guide's own use) pass, and redirects are never followed.
    """
    if not is_address(url):
        raise errors.invalid_request("Not a valid URL", param="webhook", code="url_invalid")
    if url == configured or urlsplit(url).hostname in _LOOPBACK:
        return url
    raise errors.invalid_request("The webhook must be on this machine or be the configured endpoint.", param="webhook")


async def _named(request: Request) -> tuple[str, Any]:
    """The session and the payment method that a form or JSON names, whatever the content type says: curl's -d calls
    JSON a form too."""
    body = (await read_body(request, 16_384)).strip()
    try:
        given: dict[str, Any] = json.loads(body) if body.startswith(b"{") else form.parse(body)
    except (ValueError, RecursionError):
        raise errors.invalid_request("The request body is not valid JSON.") from None
    session_id = given.get("session_id")
    if session_id is None:
        raise errors.missing("session_id")
    if not isinstance(session_id, str) or "\0" in session_id:
        raise errors.invalid_request("Invalid string", param="session_id")
    return session_id, given.get("payment_method", CARD)


def _shown(service: Service, session: Session) -> PaymentSession:
    is_pending = session.status == "open" or session.is_processing
    status = "paid" if session.is_paid else "pending" if is_pending else "cancelled"
    url = f"{service.settings.public_url}/payment/{session.id}"
    return PaymentSession(session_id=session.id, url=url, payment_status=status)
