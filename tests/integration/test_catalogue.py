"""`GET /products` over catalogues of any size, and what those who look must not take from those who buy."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.waiting import Shared
from tests.support.catalogue import stock_up
from tests.support.rig import Rig

SEED = [
    *("pen", "notebook", "pencil-set", "ink-bottle"),
    *("desk-lamp", "tote-bag", "coffee-mug", "limited-print"),
]


def skus(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [product["sku"] for product in answer["products"]]


async def test_the_pages_of_the_catalogue_are_all_of_it_in_its_order_once(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 250)
    found: list[str] = []
    query: dict[str, str | int] = {}
    for length in (100, 100, 58):
        page = (await rig.http.get("/products", params=query)).json()
        assert len(page["products"]) == length
        found += skus(page)
        query = {"after": page["next"]}
    assert page["next"] is None
    assert found == SEED + [f"thing-{n:05}" for n in range(1, 251)]


async def test_certain_products_and_what_a_search_finds(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 30)

    async def ask(**query: object) -> list[str]:
        answer = await rig.http.get("/products", params=query)  # type: ignore[arg-type] # lists are allowed
        return skus(answer.json())

    assert await ask(sku=["thing-00007", "pen", "no-such"]) == ["pen", "thing-00007"]
    assert await ask(q="BRASS ball") == ["pen"]
    assert await ask(q="limited-print") == ["limited-print"]
    assert await ask(q="thing 7") == ["thing-00007"]
    assert await ask(q="thing", limit=2, after="thing-00029") == ["thing-00030"]
    assert await ask(q="' & | ! :* \\ ()") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=unicorn", "after"),
        ("after=%00", "after"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("sku=PEN", "sku[0]"),
        ("sku=pen&q=pen", "sku"),
        ("q=" + "x" * 101, "q"),
        ("&".join(["sku=pen"] * 201), "sku"),
    ],
)
async def test_a_wrong_parameter_is_named(rig: Rig, query: str, field: str) -> None:
    answer = await rig.http.get(f"/products?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_who_has_the_page_already_is_told_so_until_something_is_sold(rig: Rig) -> None:
    first = await rig.http.get("/products", params={"sku": ["pen", "notebook"]})
    known = {"If-None-Match": first.headers["etag"]}
    again = await rig.http.get("/products", params={"sku": ["notebook", "pen"]}, headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    await rig.bought()
    later = await rig.http.get("/products", params={"sku": ["pen", "notebook"]}, headers=known)
    assert later.status_code == 200
    assert later.json()["products"][0]["available"] == first.json()["products"][0]["available"] - 1


async def test_who_looks_never_keeps_a_customer_waiting(rig: Rig, engine: AsyncEngine) -> None:
    """Forty searches, all slow and all different, are waiting for the database when somebody presses Buy."""
    async with engine.begin() as connection:
        await connection.execute(text("DROP INDEX shop.products_words"))
        await connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION shop.words_of(sku text, name text, description text) RETURNS tsvector"
                " LANGUAGE sql STABLE AS $$ SELECT to_tsvector('simple', name) FROM pg_sleep(0.1) $$"
            )
        )
    looking = [asyncio.create_task(rig.http.get("/products", params={"q": f"pen{n}"})) for n in range(40)]
    await asyncio.sleep(0.05)
    await rig.bought()
    served = [task for task in looking if task.done()]
    answers = await asyncio.gather(*looking)
    assert len(served) < 20
    assert {answer.status_code for answer in answers} <= {200, 503}


async def test_many_who_ask_at_once_share_a_read_that_began_after_they_asked() -> None:
    gate, reads = asyncio.Event(), 0

    async def read(_: str) -> int:
        nonlocal reads
        reads += 1
        number = reads
        await gate.wait()
        return number

    shared = Shared(read)
    first = asyncio.create_task(shared("page"))
    await asyncio.sleep(0)
    others = [asyncio.create_task(shared("page")) for _ in range(50)]
    await asyncio.sleep(0)
    impatient = others.pop()
    impatient.cancel()
    gate.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 49
    assert await shared("page") == 3


async def test_a_failed_read_is_told_to_all_who_share_it_and_not_kept() -> None:
    is_away = True

    async def read(_: str) -> int:
        if is_away:
            raise OSError("away")
        return 1

    shared = Shared(read)
    found = await asyncio.gather(*(shared("page") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [OSError] * 3
    is_away = False
    assert await shared("page") == 1
