"""The storefront as a browser without script sees it, over catalogues of any size."""

import re
from html import unescape

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.rig import Rig

PAGE = {"Accept": "text/html"}
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


async def stock_up(engine: AsyncEngine, count: int) -> None:
    """`count` products more: `thing-00001`, …, each with its movement."""
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO shop.products (sku, name, description, unit_amount, currency, on_hand, position)"
                " SELECT 'thing-' || to_char(n, 'FM00000'), 'Thing ' || n, 'A thing like any other.', 100 + n, 'usd',"
                " 1000, 1000 + n FROM generate_series(1, :count) n"
            ),
            {"count": count},
        )
        await connection.execute(
            text(
                "INSERT INTO shop.stock_movements (sku, delta, cause)"
                " SELECT sku, on_hand, 'seed' FROM shop.products WHERE sku LIKE 'thing-%'"
            )
        )


def fields_of(page: str, form: str) -> list[tuple[str, str]]:
    """What a browser would send of a form, as it came."""
    inside = page.partition(f'id="{form}"')[2].partition("</form>")[0]
    inputs = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(inside)]
    return [(unescape(one["name"]), unescape(one.get("value", ""))) for one in inputs if "name" in one]


async def test_without_script_any_catalogue_can_be_bought_from(shop: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 500)
    page = await shop.http.get("/", headers=PAGE)
    fields = fields_of(page.text, "buy")
    wanted = [index for index, (name, _) in enumerate(fields) if name == "quantity"][2]
    fields[wanted] = ("quantity", "3")
    body = str(shop.http.build_request("POST", "/", params=fields).url.query, "ascii")
    answer = await shop.http.post(
        "/checkout", content=body, headers=PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 303, answer.text
