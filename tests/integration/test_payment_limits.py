"""A cart that the payment service would not take is refused for good, and by name, before anything is reserved."""

import time
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import BeyondPaymentLimits
from checkout.orders import CartLine
from tests.support.orders import on_hand, open_order, scalar
from tests.support.rig import Rig

BEYOND: list[tuple[dict[str, Any], str]] = [
    ({"unit_amount": 1}, "from 0.50 USD on; this one is 0.03 USD"),
    ({"unit_amount": 40_000_000}, "up to 999,999.99 USD; this one is 1,200,000.00 USD"),
    ({"name": "x" * 460}, "pen cannot be sold: the payment service takes at most 250 characters, not 460"),
    ({"currency": "ugx", "unit_amount": 550}, "amounts in UGX are multiples of 100"),
    ({"currency": "kwd", "unit_amount": 1001}, "amounts in KWD are multiples of 10"),
]


async def change(engine: AsyncEngine, **columns: Any) -> None:
    wanted = ", ".join(f"{column} = :{column}" for column in columns)
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE shop.products SET {wanted} WHERE sku = 'pen'"), columns)


@pytest.mark.parametrize(("columns", "told"), BEYOND)
async def test_a_cart_that_cannot_be_paid_is_refused_by_name_before_anything_is_reserved(
    engine: AsyncEngine, columns: dict[str, Any], told: str
) -> None:
    await change(engine, **columns)
    with pytest.raises(BeyondPaymentLimits) as refusal:
        await open_order(engine, "k", CartLine("pen", 3))
    assert told in str(refusal.value)
    assert await scalar(engine, "SELECT count(*) FROM shop.orders") == 0
    assert await on_hand(engine, "pen") == 100_000


async def test_a_repeat_finds_its_order_though_its_cart_could_not_be_paid_today(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("pen", 3))
    await change(engine, unit_amount=1)
    assert await open_order(engine, "k", CartLine("pen", 3)) == order


async def test_a_buyer_is_told_for_good_which_limit_the_cart_is_beyond(rig: Rig) -> None:
    three = {"items": [{"sku": "pen", "quantity": 3}]}
    for number, (columns, told) in enumerate(BEYOND[:3]):
        await change(rig.engine, name="Pen", unit_amount=1000)
        await change(rig.engine, **columns)
        began = time.monotonic()
        answers = [await rig.press(f"k{number}", **three) for _ in range(2)]
        assert time.monotonic() - began < rig.settings.session_wait  # told, not given up waiting for
        for answer in answers:
            assert answer.status_code == 422
            assert [error["field"] for error in answer.json()["errors"]] == ["items"]
            assert told in answer.json()["detail"]
    assert await scalar(rig.engine, "SELECT count(*) FROM shop.orders") == 0
    assert rig.provider.calls == []
    # Nothing was decided under the key: once the price is mended, it buys.
    await change(rig.engine, name="Pen", unit_amount=1000)
    assert (await rig.buy("k0", **three)).status_code == 200
