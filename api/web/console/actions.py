"""What an operator can do. Every action is safe to repeat: the workflows and the database see to that."""

import json
import logging
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.problems import Problem, invalid, invalid_fields
from api.schemas import RestockRequest
from api.state import GatewayDependency
from api.web.console.provider import last_event
from api.web.console.session import FormDependency
from api.webhooks import deliver, parse

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console", include_in_schema=False)

OrderId = Annotated[str, Path(max_length=255)]

_SEE_OTHER = 303


@router.post("/orders/{order_id}/refund")
async def refund(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Give the money back, once, and take the stock back."""
    await gateway.orders.refund(order_id)
    logger.info("An operator refunded order %s", order_id)
    return _done(order_id, "refunded")


@router.post("/orders/{order_id}/settle")
async def settle(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    await gateway.orders.settle(order_id)
    logger.info("An operator had order %s settled", order_id)
    return _done(order_id, "settling")


@router.post("/orders/{order_id}/resend")
async def resend(order_id: OrderId, form: FormDependency, gateway: GatewayDependency) -> Response:
    """Take the payment service's last event about the order again, as if its webhook came now."""
    order = await gateway.orders.find(order_id)
    found = await last_event(gateway.settings, order.session.session_id) if order.session else None
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
    quantity = form.fields.get("quantity", "")
    if not (quantity.isascii() and quantity.isdigit() and 0 < len(quantity) < 8):
        raise invalid([{"field": "quantity", "message": "a whole number from 1 to 1,000,000"}])
    try:
        wanted = RestockRequest(sku=form.fields.get("sku", ""), quantity=int(quantity))
    except ValidationError as error:
        raise invalid_fields(error) from None
    await gateway.orders.restock(wanted.sku, wanted.quantity)
    return RedirectResponse("/admin/console/stock?done=restocked", _SEE_OTHER)


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


def _done(order_id: str, what: str) -> Response:
    return RedirectResponse(f"/admin/console/orders/{order_id}?done={what}", _SEE_OTHER)
