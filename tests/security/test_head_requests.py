"""HEAD is GET without its body, on every route that can be got."""

import httpx
import pytest

from stack.stack import Stack
from tests.security.inventory import GATEWAY


@pytest.mark.parametrize("route", [route.removeprefix("GET ") for route in GATEWAY if route.startswith("GET ")])
async def test_head_says_what_get_says_without_the_body(
    client: httpx.AsyncClient, guarded: Stack, operator: dict[str, str], route: str
) -> None:
    order = (await client.post("/checkout")).json()
    values = {"order_id": order["order_id"], "key:path": order["checkout_key"], "name:path": "shop.css"}
    path = route
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    path = path.replace("{name}", "shop.css")
    asked = {"session_id": order["session_id"], "order_id": order["order_id"]}
    headers = operator | {"Accept": "*/*"}
    async with client.stream("GET", path, params=asked, headers=headers) as got:
        expected = (got.status_code, got.headers.get("content-type"), got.headers.get("content-security-policy"))
    said = await client.head(path, params=asked, headers=headers)
    assert (said.status_code, said.headers.get("content-type"), said.headers.get("content-security-policy")) == expected
    assert said.status_code in (200, 303), path
    assert said.content == b""
    # The connection is still in step: what follows is the next answer.
    assert (await client.get("/livez")).text == "ok\n"
