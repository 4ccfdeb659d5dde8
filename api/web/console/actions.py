"""What an operator can do. Every action is safe to repeat: the workflows and the database see to that."""

import logging
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from api import catalogue
from api.board import AUDIT_GRACE
from api.catalogue import Restock, Sku, WriteOff
from api.gateway import GatewayDependency
from api.problems import invalid, invalid_fields
from api.refund_requests import RefundIn
from api.web.console.sign_in import FormDependency, FromOurPages
from checkout.ids import parse_checkout_key
from checkout.money import minor_units
from checkout.payments import RefundState

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console", include_in_schema=False, dependencies=[FromOurPages])

OrderId = Annotated[str, Path(max_length=255)]
Wanted = TypeVar("Wanted", bound=BaseModel)


@router.post("/audit")
async def audit_everything(gateway: GatewayDependency) -> Response:
    """The button without script: waits for the audit's end."""
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
    event = await gateway.orders.resend(order_id)
    return _done(f"orders/{order_id}", "no-event" if event is None else "resent")


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
    """The form's fields as a `kind`; an empty field counts as absent."""
    quantity = _whole("quantity", form.get("quantity", ""), "a whole number from 1 to 1,000,000")
    given = {name: text for name, text in form.items() if text}
    return _valid(kind, given | {"quantity": quantity})


def _whole(field: str, text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise invalid((field, what))
    return int(text)


def _valid(kind: type[Wanted], wanted: dict[str, Any]) -> Wanted:
    """The fields as a `kind`. Raises a 422 `Problem` that names every wrong one."""
    try:
        return kind.model_validate(wanted)
    except ValidationError as error:
        raise invalid_fields(error) from None
