"""For operators, with the token: what is sold, at what price, and how much of it there is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api import catalogue
from api.problems import declared
from api.schemas import Available, CatalogueProduct, ProductIn, Restock, Sku, WriteOff
from api.state import GatewayDependency, operator

router = APIRouter(prefix="/admin", tags=["operator"], dependencies=[Depends(operator)])

SkuInPath = Annotated[Sku, Path()]


@router.post("/restock", response_model=Available)
async def restock(wanted: Restock, gateway: GatewayDependency) -> Available:
    """Add to the stock of a product."""
    return await catalogue.restock(gateway.engine, wanted)


@router.post("/write-off", response_model=Available, responses=declared({409: "Fewer are left beside the reserved."}))
async def write_off(wanted: WriteOff, gateway: GatewayDependency) -> Available:
    """Take broken or lost goods out of the stock of a product. What orders have reserved stays theirs."""
    return await catalogue.write_off(gateway.engine, wanted)


@router.put(
    "/products/{sku}",
    response_model=CatalogueProduct,
    responses={201: {"model": CatalogueProduct, "description": "Added, with nothing in stock."}},
)
async def put_product(
    sku: SkuInPath, product: ProductIn, gateway: GatewayDependency, answer: Response
) -> CatalogueProduct:
    """Add a product, or change it. Orders keep the name, price and currency that they were agreed on."""
    changed, is_new = await catalogue.put_product(gateway.engine, sku, product)
    answer.status_code = 201 if is_new else 200
    return changed


@router.post("/products/{sku}/withdraw", response_model=CatalogueProduct)
async def withdraw(sku: SkuInPath, gateway: GatewayDependency) -> CatalogueProduct:
    """Sell a product no longer. Orders that have it are untouched; new ones are refused (409 `withdrawn`)."""
    return await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=True)


@router.post("/products/{sku}/offer", response_model=CatalogueProduct)
async def offer(sku: SkuInPath, gateway: GatewayDependency) -> CatalogueProduct:
    """Sell a withdrawn product again."""
    return await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=False)
