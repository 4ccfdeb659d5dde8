"""An order whose money goes back."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import Order
from tests.integration.ledger.steps import CART, TOTAL
from tests.support.orders import awaiting, fulfil


@pytest.fixture
async def order(engine: AsyncEngine) -> Order:
    """Paid and fulfilled: three prints and a pen."""
    order = await fulfil(engine, await awaiting(engine, "k", *CART))
    assert order.amount_total == TOTAL
    return order
