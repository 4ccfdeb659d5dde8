"""The storefront as a browser without script sees it, over catalogues of any size."""

import re
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.catalogue import stock_up
from tests.support.rig import Rig

PAGE = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_PICTURE = text("UPDATE shop.products SET image = :image WHERE sku = :sku")
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def fields_of(page: str, form: str) -> list[tuple[str, str]]:
    """What a browser would send of a form, as it came."""
    inside = page.partition(f'id="{form}"')[2].partition("</form>")[0]
    inputs = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(inside)]
    return [(unescape(one["name"]), unescape(one.get("value", ""))) for one in inputs if "name" in one]


async def test_without_script_any_catalogue_can_be_bought_from(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 500)
    assert len((await rig.http.get("/", headers=PAGE)).content) < 60_000
    page = await rig.http.get("/", headers=PAGE)
    fields = fields_of(page.text, "buy")
    wanted = [index for index, (name, _) in enumerate(fields) if name == "quantity"][2]
    fields[wanted] = ("quantity", "3")
    answer = await rig.http.post("/checkout", content=urlencode(fields), headers=PAGE | FORM)
    assert answer.status_code == 303, answer.text


async def test_a_form_may_have_any_number_of_fields_that_its_bytes_allow(rig: Rig) -> None:
    fields = [("sku", "pen"), ("quantity", "1"), *[("sku", "notebook"), ("quantity", "0")] * 1500]
    answer = await rig.http.post("/checkout", content=urlencode(fields), headers=PAGE | FORM)
    assert answer.status_code == 303, answer.text


async def test_without_script_the_cart_goes_along_from_page_to_page(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 100)
    page = (await rig.http.get("/", headers=PAGE)).text
    for number in (2, 3):
        fields = fields_of(page, "buy")
        wanted = [index for index, (name, _) in enumerate(fields) if name == "quantity"][number]
        fields[wanted] = ("quantity", str(number))
        assert re.search(rf'<button name="page" value="{number}" formmethod="get" formaction="/">', page)
        page = (await rig.http.get("/", params=[*fields, ("page", str(number))], headers=PAGE)).text
    carried = fields_of(page, "buy")
    skus, quantities = ([value for name, value in carried if name == wanted] for wanted in ("sku", "quantity"))
    cart = [(sku, count) for sku, count in zip(skus, quantities, strict=True) if count != "0"]
    assert cart == [("pencil-set", "2"), ("thing-00020", "3")]
    answer = await rig.http.post("/checkout", content=urlencode(carried), headers=PAGE | FORM)
    assert answer.status_code == 303, answer.text


async def test_a_cart_too_large_to_buy_is_kept_on_the_way_back(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 60)
    lines = [(name, value) for n in range(1, 61) for name, value in (("sku", f"thing-{n:05}"), ("quantity", "1"))]
    answer = await rig.http.post("/checkout", content=urlencode(lines), headers=PAGE | FORM)
    assert answer.status_code == 422
    back = re.search(r'href="(/\?[^"]+)"', answer.text)
    assert back
    page = await rig.http.get(unescape(back[1]), headers=PAGE)
    assert page.status_code == 200
    assert [value for name, value in fields_of(page.text, "buy") if name == "quantity"].count("1") == 60


async def test_the_shop_is_searched_by_the_beginnings_of_words(rig: Rig, engine: AsyncEngine) -> None:
    await stock_up(engine, 100)
    page = (await rig.http.get("/", params={"q": "graph pencil"}, headers=PAGE)).text
    assert [value for name, value in fields_of(page, "buy") if name == "sku"] == ["pencil-set"]
    page = (await rig.http.get("/", params={"q": "unicorn <b>"}, headers=PAGE)).text
    assert "Nothing found for <strong>unicorn &lt;b&gt;</strong>" in page
    found = (await rig.http.get("/", params={"q": "thing", "page": 2}, headers=PAGE)).text
    assert 'href="/?q=thing&amp;page=3"' in found
    assert 'href="/?q=thing"' in found


async def test_pictures_may_be_loaded_from_where_the_catalogue_has_them_and_from_nowhere_else(
    rig: Rig, engine: AsyncEngine
) -> None:
    def images(page: httpx.Response) -> str:
        return re.search(r"img-src ([^;]*);", page.headers["content-security-policy"])[1]  # type: ignore[index] # is there

    assert images(await rig.http.get("/", headers=PAGE)) == "'self'"
    async with engine.begin() as connection:
        for sku, image in (
            ("pen", "https://cdn.example/pen.png"),
            ("notebook", "https://cdn.example"),
            ("desk-lamp", "https://images.example:8443/lamp.jpg?size=2"),
            ("tote-bag", ""),
        ):
            await connection.execute(_PICTURE, {"sku": sku, "image": image})
    page = await rig.http.get("/", headers=PAGE)
    assert images(page) == "'self' https://cdn.example https://images.example:8443"
    assert 'src="https://images.example:8443/lamp.jpg?size=2"' in page.text
    assert 'src=""' not in page.text
    assert images(await rig.http.get("/?q=mug", headers=PAGE)) == "'self'"


@pytest.mark.parametrize(
    "image",
    [
        "http://cdn.example/pen.png",
        "//cdn.example/pen.png",
        "https://a b/",
        "https://x;script-src *",
        "data:,",
        "pen.svg",
    ],
)
async def test_a_picture_that_no_page_could_show_is_refused_when_the_product_is_made(
    engine: AsyncEngine, image: str
) -> None:
    with pytest.raises(IntegrityError, match="product pen: a picture is a path of this site"):
        async with engine.begin() as connection:
            await connection.execute(_PICTURE, {"sku": "pen", "image": image})
