"""What an operator can do. Every action is safe to repeat: the workflows and the database see to that."""

import logging
from typing import Annotated, Any, Literal, TypeVar

import httpx
from fastapi import APIRouter, Path
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from api import catalogue
from api.board import AUDIT_GRACE
from api.catalogue import Restock, Sku, WriteOff
from api.gateway import GatewayDependency
from api.hints import SessionEvent, deliver
from api.orders import RefundIn
from api.problems import Problem, invalid, invalid_fields
from api.web.console.sign_in import FormDependency, FromOurPages
from api.webhooks import session_event
from checkout.ids import parse_checkout_key
from checkout.money import minor_units
from checkout.payments import RefundState
from runtime.egress import api_base, client_options
from runtime.settings import Settings

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console", include_in_schema=False, dependencies=[FromOurPages])

OrderId = Annotated[str, Path(max_length=255)]
Wanted = TypeVar("Wanted", bound=BaseModel)

_PAGES = 5  # of 100 events: how far back to look
_TIMEOUT = 5.0  # seconds for each
_ENDS = ("completed", "expired", "async_payment_succeeded", "async_payment_failed")


@router.post("/audit")
async def audit_everything(gateway: GatewayDependency) -> Response:
    """Without script: wait for it."""
    await gateway.auditor.everything(AUDIT_GRACE)
    return RedirectResponse("/admin/console/audit", 303)


@router.post("/orders/{order_id}/refund")
async def refund(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Give back an amount, what some of the goods cost, or all that is left: once for the form's key."""
    order = await gateway.orders.find(order_id)
    wanted = _refund_of(form, order.currency)
    answer = await gateway.orders.refund(order_id, wanted, parse_checkout_key(form.get("key", "")))
    about = {"checkout_key": order.checkout_key}
    what = answer.refund.id if answer.refund else "all of it"
    logger.info("An operator refunded order %s: %s", order_id, what, extra=about)
    is_waiting = answer.refund is not None and answer.refund.state is RefundState.PENDING
    return _done(f"orders/{order_id}", "refunding" if is_waiting else "refunded")


@router.post("/orders/{order_id}/settle")
async def settle(order_id: OrderId, gateway: GatewayDependency) -> Response:
    await gateway.orders.settle(order_id)
    logger.info("An operator had order %s settled", order_id)
    return _done(f"orders/{order_id}", "settling")


@router.post("/orders/{order_id}/resend")
async def resend(order_id: OrderId, gateway: GatewayDependency) -> Response:
    """Take the payment service's last event about the order again, as if its webhook came now."""
    order = await gateway.orders.find(order_id)
    event = await _last_event(gateway.settings, order.session.session_id) if order.session else None
    if event is None:
        return _done(f"orders/{order_id}", "no-event")
    await deliver(event, gateway.temporal, gateway.engine)
    about = {"checkout_key": order.checkout_key}
    logger.info("An operator had event %s of order %s taken again", event.event_id, order_id, extra=about)
    return _done(f"orders/{order_id}", "resent")


@router.post("/restock")
async def restock(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.restock(gateway.engine, _goods(Restock, form))
    return _done("stock", "restocked")


@router.post("/write-off")
async def write_off(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.write_off(gateway.engine, _goods(WriteOff, form))
    return _done("stock", "written-off")


@router.post("/products/{sku}/{sale}")
async def set_sale(
    sku: Annotated[Sku, Path()], sale: Literal["withdraw", "offer"], gateway: GatewayDependency
) -> Response:
    await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=sale == "withdraw")
    return _done("stock", sale)


def _done(where: str, what: str) -> Response:
    """Back to the page that says so (`console/frame.html`)."""
    return RedirectResponse(f"/admin/console/{where}?done={what}", 303)


def _refund_of(form: dict[str, str], currency: str) -> RefundIn:
    """`what` says which of the fields count: all, amount, lines (`line.<sku>`: how many)."""
    what = form.get("what")
    wanted: dict[str, Any] = {"reason": form.get("reason") or None}
    if what == "amount":
        try:
            wanted["amount"] = minor_units(form.get("amount", ""), currency)
        except ValueError as error:
            raise invalid(("amount", str(error))) from None
    elif what in ("all", "lines"):
        wanted["restock"] = "restock" in form
    else:
        raise invalid(("what", "all, amount or lines"))
    if what == "lines":
        wanted["lines"] = [
            {"sku": name.removeprefix("line."), "quantity": _whole(name.removeprefix("line."), text, "a whole number")}
            for name, text in form.items()
            if name.startswith("line.") and text not in ("", "0")
        ]
        if not wanted["lines"]:
            raise invalid(("lines", "say how many of which goods are given back"))
    return _valid(RefundIn, wanted)


def _goods(kind: type[Wanted], form: dict[str, str]) -> Wanted:
    """What is left empty is not given."""
    quantity = _whole("quantity", form.get("quantity", ""), "a whole number from 1 to 1,000,000")
    given = {name: text for name, text in form.items() if text}
    return _valid(kind, given | {"quantity": quantity})


def _whole(field: str, text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise invalid((field, what))
    return int(text)


def _valid(kind: type[Wanted], wanted: dict[str, Any]) -> Wanted:
    """As what it is, or every wrong field by name."""
    try:
        return kind.model_validate(wanted)
    except ValidationError as error:
        raise invalid_fields(error) from None


async def _last_event(settings: Settings, session_id: str) -> SessionEvent | None:
    """The payment service's newest event about the session, should it never have arrived (Stripe API reference, "List
    all events": kept for 30 days). It needs no signature, for we fetched it ourselves, and is as always only a hint to
    look. Raises a 502 `Problem` when the provider does not answer."""
    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    options = {"base_url": api_base(settings), "headers": headers, "timeout": _TIMEOUT, **client_options(settings)}
    query: dict[str, Any] = {"limit": 100, "types[]": [f"checkout.session.{end}" for end in _ENDS]}
    try:
        async with httpx.AsyncClient(**options) as client:
            for _ in range(_PAGES):
                answer = (await client.get("/v1/events", params=query)).raise_for_status().json()
                for event in answer["data"]:
                    if event["type"].startswith("checkout.session.") and event["data"]["object"]["id"] == session_id:
                        return session_event(event)
                if not answer["has_more"]:
                    break
                query["starting_after"] = answer["data"][-1]["id"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        raise Problem(502, "payment-unreachable", "The payment service does not answer", "Try again later.") from None
    return None
