"""What an operator can do. Every action is safe to repeat: the workflows and the database see to that."""

import json
import logging
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from api import catalogue
from api.problems import Problem, invalid, invalid_fields
from api.schemas import RefundIn, Restock, Sku, WriteOff
from api.state import GatewayDependency
from api.web.console.board import AUDIT_GRACE
from api.web.console.session import Form, FormDependency
from api.webhooks import deliver, parse
from checkout.currencies import minor_units
from checkout.ids import parse_checkout_key
from checkout.money import RefundState
from runtime.egress import api_base, client_options
from runtime.settings import Settings

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console", include_in_schema=False)

OrderId = Annotated[str, Path(max_length=255)]

Goods = TypeVar("Goods", bound=Restock)

_SEE_OTHER = 303
_PAGES = 5  # of 100 events: how far back to look
_TIMEOUT = 5.0
_TYPES = [
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
]


@router.post("/audit")
async def audit_everything(form: FormDependency, gateway: GatewayDependency) -> Response:
    """Without script: wait for it."""
    await gateway.auditor.everything(AUDIT_GRACE)
    return RedirectResponse("/admin/console/audit", _SEE_OTHER)


@router.post("/orders/{order_id}/refund")
async def refund(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Give back an amount, what some of the goods cost, or all that is left: once for the form's key."""
    order = await gateway.orders.find(order_id)
    wanted = _refund_of(form, order.currency)
    answer = await gateway.orders.refund(wanted.wish(order_id, parse_checkout_key(form.fields.get("key", ""))))
    logger.info("An operator refunded order %s: %s", order_id, answer.refund.id if answer.refund else "all of it")
    is_waiting = answer.refund is not None and answer.refund.state is RefundState.PENDING
    return _done(order_id, "refunding" if is_waiting else "refunded")


@router.post("/orders/{order_id}/settle")
async def settle(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    await gateway.orders.settle(order_id)
    logger.info("An operator had order %s settled", order_id)
    return _done(order_id, "settling")


@router.post("/orders/{order_id}/resend")
async def resend(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Take the payment service's last event about the order again, as if its webhook came now."""
    order = await gateway.orders.find(order_id)
    found = await _last_event(gateway.settings, order.session.session_id) if order.session else None
    if found is None:
        return _done(order_id, "no-event")
    event = parse(json.dumps(found).encode())
    if event is None:
        return _done(order_id, "no-event")
    await deliver(event, gateway.temporal, gateway.engine)
    logger.info("An operator had event %s of order %s taken again", event.event_id, order_id)
    return _done(order_id, "resent")


@router.post("/restock")
async def restock(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.restock(gateway.engine, _goods(Restock, form))
    return _stock("restocked")


@router.post("/write-off")
async def write_off(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.write_off(gateway.engine, _goods(WriteOff, form))
    return _stock("written-off")


@router.post("/products/{sku}/withdraw")
async def withdraw(sku: Annotated[Sku, Path()], form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=True)
    return _stock("withdrawn")


@router.post("/products/{sku}/offer")
async def offer(sku: Annotated[Sku, Path()], form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=False)
    return _stock("offered")


def development_router() -> APIRouter:
    """Only where a process may be killed for a demonstration; production never has this route."""
    from api.web.console import processes

    development = APIRouter(prefix="/admin/console", include_in_schema=False)

    @development.post("/processes/{name}/kill")
    async def kill(name: str, form: FormDependency, gateway: GatewayDependency) -> Response:
        """SIGKILL one process of the stack; `checkout up` starts it again."""
        if not processes.kill(gateway.settings.data_dir, name):
            raise Problem(409, "not-running", "There is nothing to kill", f"{name} does not run at the moment.")
        logger.warning("An operator killed %s", name)
        return JSONResponse({"killed": name}, 202)

    return development


def _refund_of(form: Form, currency: str) -> RefundIn:
    """`what` says which of the fields count: all, amount, lines (`line.<sku>`: how many)."""
    what = form.fields.get("what")
    wanted: dict[str, Any] = {}
    if what == "amount":
        try:
            wanted["amount"] = minor_units(form.fields.get("amount", ""), currency)
        except ValueError as error:
            raise invalid([{"field": "amount", "message": str(error)}]) from None
    elif what == "lines":
        named = {name.removeprefix("line."): text for name, text in form.fields.items() if name.startswith("line.")}
        lines = [{"sku": sku, "quantity": _count(sku, text)} for sku, text in named.items() if text not in ("", "0")]
        if not lines:
            raise invalid([{"field": "lines", "message": "say how many of which goods are given back"}])
        wanted["lines"] = lines
    elif what != "all":
        raise invalid([{"field": "what", "message": "all, amount or lines"}])
    if what != "amount":
        wanted["restock"] = "restock" in form.fields
    try:
        return RefundIn.model_validate(wanted | ({"reason": reason} if (reason := form.fields.get("reason")) else {}))
    except ValidationError as error:
        raise invalid_fields(error) from None


def _count(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise invalid([{"field": field, "message": "a whole number"}])
    return int(text)


def _goods(kind: type[Goods], form: Form) -> Goods:
    """A form's fields as what they are, or every wrong one by name."""
    quantity = form.fields.get("quantity", "")
    if not (quantity.isascii() and quantity.isdigit() and 0 < len(quantity) < 8):
        raise invalid([{"field": "quantity", "message": "a whole number from 1 to 1,000,000"}])
    given = {name: value for name, value in form.fields.items() if name in kind.model_fields and value}
    try:
        return kind.model_validate({"sku": "", **given, "quantity": int(quantity)})
    except ValidationError as error:
        raise invalid_fields(error) from None


def _stock(done: str) -> Response:
    return RedirectResponse(f"/admin/console/stock?done={done}", _SEE_OTHER)


def _done(order_id: str, what: str) -> Response:
    return RedirectResponse(f"/admin/console/orders/{order_id}?done={what}", _SEE_OTHER)


async def _last_event(settings: Settings, session_id: str) -> dict[str, Any] | None:
    """The payment service's newest event about the session, should it never have arrived; None if it has none.

    Stripe API reference, "List all events" (kept for 30 days). It needs no signature, for we fetched it from the
    provider ourselves, and is as always only a hint to look. Raises a 502 `Problem` when the provider does not answer.
    """
    import httpx  # only who resends pays for loading it

    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    query: dict[str, Any] = {"limit": 100, "types[]": _TYPES}
    try:
        base, options = api_base(settings), client_options(settings)
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=_TIMEOUT, **options) as client:
            for _ in range(_PAGES):
                answer = (await client.get("/v1/events", params=query)).raise_for_status().json()
                for event in answer["data"]:
                    if event["data"]["object"]["id"] == session_id:
                        return dict(event)
                if not answer["has_more"]:
                    return None
                query["starting_after"] = answer["data"][-1]["id"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        raise Problem(502, "payment-unreachable", "The payment service does not answer", "Try again later.") from None
    return None
