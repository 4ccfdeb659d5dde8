"""`GET /products`: the catalogue in pages, a search in it, or certain products."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.problems import invalid
from api.schemas import ProductList, ProductOut, Sku
from api.state import Gateway, GatewayDependency
from db.catalogue import known_products

router = APIRouter(tags=["catalogue"])

_PAGE, _LONGEST_PAGE = 100, 500
_MOST_SKUS = 200


@router.get("/products", response_model=ProductList, responses={304: {"description": "As `If-None-Match` has it."}})
async def products(
    request: Request,
    gateway: GatewayDependency,
    q: Annotated[str | None, Query(max_length=100, description="Words; each may be the beginning of one")] = None,
    sku: Annotated[
        list[Sku] | None, Query(max_length=_MOST_SKUS, description="Only these products, and no other parameter")
    ] = None,
    after: Annotated[Sku | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int | None, Query(ge=1, le=_LONGEST_PAGE)] = None,
) -> Response:
    """The catalogue, with what can be bought now: a page of it, and in `next` where the one after it begins."""
    if sku and (q or after or limit):
        raise invalid([{"field": "sku", "message": "names the products wanted: without q, after and limit"}])
    if sku:
        shelf = await gateway.catalogue.products_of(sku)
    else:
        shelf = await gateway.catalogue.shelf(search=q or None, after=after, limit=limit or _PAGE)
        if after and not shelf.products and not await _is_known(gateway, after):
            raise invalid([{"field": "after", "message": "not a cursor of ours"}])
    page = ProductList(
        products=[ProductOut(**vars(product)) for product in shelf.products],
        next=shelf.products[-1].sku if shelf.has_more else None,
    )
    body = page.model_dump_json().encode()
    # A browser may keep it, but asks each time whether it still holds.
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:24]}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match", "").removeprefix("W/") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


async def _is_known(gateway: Gateway, sku: str) -> bool:
    """Sold or withdrawn: a page may end with a product that is withdrawn before the next one is asked for."""
    async with gateway.engine.connect() as connection:
        return bool(await known_products(connection, [sku]))
