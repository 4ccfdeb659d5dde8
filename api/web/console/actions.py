"""What an operator can do. Every action is safe to repeat: the workflows and the database see to that."""

import json
import logging
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from api import catalogue
from api.problems import Problem, invalid, invalid_fields
from api.schemas import RefundIn, Restock, Sku, WriteOff
from api.state import GatewayDependency
from api.web.console import processes
from api.web.console.board import AUDIT_GRACE
from api.web.console.session import FormDependency, FromOurPages
from api.web.rendering import see_other
from api.webhooks import deliver, parse
from checkout.currencies import minor_units
from checkout.ids import parse_checkout_key
from checkout.money import RefundState
from runtime.egress import api_base, client_options
from runtime.settings import Settings

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console", include_in_schema=False, dependencies=[FromOurPages])
# Only where a process may be killed for a demonstration; production never has its route.
development = APIRouter(prefix="/admin/console", include_in_schema=False, dependencies=[FromOurPages])

OrderId = Annotated[str, Path(max_length=255)]
ProductSku = Annotated[Sku, Path()]
Wanted = TypeVar("Wanted", bound=BaseModel)

_PAGES = 5  # of 100 events: how far back to look
_TIMEOUT = 5.0
_ENDS = ("completed", "expired", "async_payment_succeeded", "async_payment_failed")


@router.post("/audit")
async def audit_everything(gateway: GatewayDependency) -> Response:
    """Without script: wait for it."""
    await gateway.auditor.everything(AUDIT_GRACE)
    return see_other("/admin/console/audit")


@router.post("/orders/{order_id}/refund")
async def refund(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Give back an amount, what some of the goods cost, or all that is left: once for the form's key."""
    order = await gateway.orders.find(order_id)
    wanted = _refund_of(form, order.currency)
    answer = await gateway.orders.refund(wanted.wish(order_id, parse_checkout_key(form.get("key", ""))))
    logger.info("An operator refunded order %s: %s", order_id, answer.refund.id if answer.refund else "all of it")
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
    found = await _last_event(gateway.settings, order.session.session_id) if order.session else None
    event = parse(json.dumps(found).encode()) if found is not None else None
    if event is None:
        return _done(f"orders/{order_id}", "no-event")
    await deliver(event, gateway.temporal, gateway.engine)
    logger.info("An operator had event %s of order %s taken again", event.event_id, order_id)
    return _done(f"orders/{order_id}", "resent")


@router.post("/restock")
async def restock(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.restock(gateway.engine, _goods(Restock, form))
    return _done("stock", "restocked")


@router.post("/write-off")
async def write_off(form: FormDependency, gateway: GatewayDependency) -> Response:
    await catalogue.write_off(gateway.engine, _goods(WriteOff, form))
    return _done("stock", "written-off")


@router.post("/products/{sku}/withdraw")
async def withdraw(sku: ProductSku, gateway: GatewayDependency) -> Response:
    await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=True)
    return _done("stock", "withdrawn")


@router.post("/products/{sku}/offer")
async def offer(sku: ProductSku, gateway: GatewayDependency) -> Response:
    await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=False)
    return _done("stock", "offered")


@development.post("/processes/{name}/kill")
async def kill(name: str, gateway: GatewayDependency) -> Response:
    """SIGKILL one process of the stack; `checkout up` starts it again."""
    if not processes.kill(gateway.settings.data_dir, name):
        raise Problem(409, "not-running", "There is nothing to kill", f"{name} does not run at the moment.")
    logger.warning("An operator killed %s", name)
    return JSONResponse({"killed": name}, 202)


def _done(where: str, what: str) -> Response:
    """Back to the page that says so (`console/frame.html`)."""
    return see_other(f"/admin/console/{where}?done={what}")


def _refund_of(form: dict[str, str], currency: str) -> RefundIn:
    """`what` says which of the fields count: all, amount, lines (`line.<sku>`: how many)."""
    wanted: dict[str, Any] = {"reason": form["reason"]} if form.get("reason") else {}
    match form.get("what"):
        case "all":
            pass
        case "amount":
            try:
                wanted["amount"] = minor_units(form.get("amount", ""), currency)
            except ValueError as error:
                raise _wrong("amount", str(error)) from None
        case "lines":
            named = {name.removeprefix("line."): text for name, text in form.items() if name.startswith("line.")}
            wanted["lines"] = [
                {"sku": sku, "quantity": _whole(sku, text, 3, "a whole number")}
                for sku, text in named.items()
                if text not in ("", "0")
            ]
            if not wanted["lines"]:
                raise _wrong("lines", "say how many of which goods are given back")
        case _:
            raise _wrong("what", "all, amount or lines")
    if "amount" not in wanted:
        wanted["restock"] = "restock" in form
    return _valid(RefundIn, wanted)


def _goods(kind: type[Wanted], form: dict[str, str]) -> Wanted:
    quantity = _whole("quantity", form.get("quantity", ""), 7, "a whole number from 1 to 1,000,000")
    given = {name: value for name, value in form.items() if name in kind.model_fields and value}
    return _valid(kind, {"sku": "", **given, "quantity": quantity})


def _whole(field: str, text: str, digits: int, message: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise _wrong(field, message)
    return int(text)


def _valid(kind: type[Wanted], wanted: dict[str, Any]) -> Wanted:
    """As what it is, or every wrong field by name."""
    try:
        return kind.model_validate(wanted)
    except ValidationError as error:
        raise invalid_fields(error) from None


def _wrong(field: str, message: str) -> Problem:
    return invalid([{"field": field, "message": message}])


async def _last_event(settings: Settings, session_id: str) -> dict[str, Any] | None:
    """The payment service's newest event about the session, should it never have arrived; None if it has none.

    Stripe API reference, "List all events" (kept for 30 days). It needs no signature, for we fetched it from the
    provider ourselves, and is as always only a hint to look. Raises a 502 `Problem` when the provider does not answer.
    """
    import httpx  # only who resends pays for loading it

    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    query: dict[str, Any] = {"limit": 100, "types[]": [f"checkout.session.{end}" for end in _ENDS]}
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
