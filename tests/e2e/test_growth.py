"""The benchmark's look at a shop that has sold a lot: it asks for every page, and says which is slow."""

import asyncio

import pytest

from bench.growth import time_pages
from bench.progress import silent
from db.past import make_past
from tests.support.eventually import eventually
from tests.support.shop import Shop
from tests.support.stacks import running_stack


async def test_every_page_of_a_shop_with_a_past_is_timed_once_the_past_is_audited() -> None:
    async with running_stack() as stack, Shop(stack) as shop:  # a past that no other test has to audit
        url, token = stack.urls["gateway"], stack.admin_token
        await make_past(stack.database_url, 6_000, silent)
        with pytest.raises(ValueError, match="have never been audited"):
            await asyncio.to_thread(time_pages, url, token)
        await eventually(lambda: _is_audited(shop), within=60)
        timed = await asyncio.to_thread(time_pages, url, token, times=2)
    assert {each.name for each in timed} > {"storefront", "console: stock", "orders by e-mail", "console: audit"}
    assert all(0 < each.middle <= each.slowest and each.size for each in timed)


async def _is_audited(shop: Shop) -> bool:
    answer = await shop.http.get("/admin/audit", headers=shop.operator)
    return answer.is_success and answer.json()["waiting"] == 0
