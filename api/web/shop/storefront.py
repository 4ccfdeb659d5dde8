"""`GET /`: the shop. Works as a plain form; with script it keeps the cart and the checkout's key."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.schemas import MAX_QUANTITY
from api.state import GatewayDependency
from api.web.assets import picture_origins
from api.web.rendering import DEEPEST, Pager, payment_targets
from api.web.rendering import page as render
from checkout.ids import new_checkout_key

router = APIRouter(include_in_schema=False)

SHELF = 24  # products on a page


@router.get("/")
async def storefront(
    gateway: GatewayDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=DEEPEST)] = 1,
    sku: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    quantity: Annotated[list[str], Query()] = [],  # noqa: B006
    email: Annotated[str, Query(max_length=254)] = "",
) -> Response:
    """A page of the catalogue, or of what was found in it.

    `sku` and `quantity`, in pairs, fill the cart: without script it goes along from page to page, and comes back from
    an error.
    """
    search = q.strip()
    shelf = await gateway.catalogue.shelf(search=search or None, offset=(page - 1) * SHELF, limit=SHELF)
    wanted = {name: count for name, text in zip(sku, quantity, strict=False) if (count := _quantity(text))}
    shown = {product.sku for product in shelf.products}
    elsewhere = [name for name in wanted if name not in shown]
    return render(
        "storefront.html",
        form_action=payment_targets(gateway.settings),
        pictures=picture_origins(product.image for product in shelf.products),
        products=shelf.products,
        elsewhere=(await gateway.catalogue.products_of(elsewhere)).products if elsewhere else [],
        pager=Pager("/", page, shelf.has_more, search),
        wanted=wanted,
        email=email,
        # The key of a form without script: minted with the page, so that a double click sends the same one.
        key=new_checkout_key(),
    )


def _quantity(text: str) -> int:
    return min(int(text), MAX_QUANTITY) if text.isascii() and text.isdigit() and len(text) < 5 else 0
