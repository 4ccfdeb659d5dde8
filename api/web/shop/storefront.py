"""`GET /`: the shop. Works as a plain form; with script it keeps the cart and the checkout's key."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.schemas import MAX_QUANTITY
from api.state import GatewayDependency
from api.web.rendering import page, payment_targets
from checkout.ids import new_checkout_key
from db import inventory

router = APIRouter(include_in_schema=False)


@router.get("/")
async def storefront(
    gateway: GatewayDependency,
    sku: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 - FastAPI copies it
    quantity: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
    email: Annotated[str, Query(max_length=254)] = "",
) -> Response:
    """The catalogue. `sku` and `quantity`, in pairs, fill the cart: the way back from an error without script."""
    async with gateway.engine.connect() as connection:
        products = await inventory.list_products(connection)
    return page(
        "storefront.html",
        form_action=payment_targets(gateway.settings),
        products=products,
        wanted={name: _quantity(text) for name, text in zip(sku, quantity, strict=False)},
        email=email,
        # The key of a form without script: minted with the page, so that a double click sends the same one.
        key=new_checkout_key(),
    )


def _quantity(text: str) -> int:
    return min(int(text), MAX_QUANTITY) if text.isascii() and text.isdigit() and len(text) < 5 else 0
