"""Every route of the gateway under attack: bodies of any size, injected SQL, odd paths and headers, raw bytes."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from api.middleware.entrance import MAX_BODY_BYTES, MAX_WEBHOOK_BYTES
from stack.stack import Stack
from tests.security.counting import counts

SQL = (
    "' OR '1'='1",
    "'; DROP TABLE shop.orders; --",
    "1 UNION SELECT email FROM shop.orders",
    "\\'; SELECT pg_sleep(5); --",
    "$1",
    ":order_id",
    "%s",
    "CAST(1 AS int)",
    "x' AND 1=CAST((SELECT version()) AS int)--",
    "\x00",
    "ord_" + "0" * 32,
    "😀",
    "A" * 4000,
)


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    """A body without a content-length."""
    for _ in range(0, size, 16_384):
        yield b" " * min(16_384, size)
        size -= 16_384


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/checkout", MAX_BODY_BYTES),
        ("/checkout/a-key-of-some-length", MAX_BODY_BYTES),
        ("/payment_webhook", MAX_WEBHOOK_BYTES),
        ("/admin/restock", MAX_BODY_BYTES),
        ("/orders/ord_x/view", MAX_BODY_BYTES),
    ],
)
async def test_a_body_over_the_limit_is_refused_with_and_without_a_length(
    client: httpx.AsyncClient, operator: dict[str, str], path: str, limit: int
) -> None:
    declared = await client.post(path, content=b" " * (limit + 1), headers=operator)
    chunked = await client.post(path, content=in_chunks(limit + 1), headers=operator)
    endless = await client.post(path, content=in_chunks(50_000_000), headers=operator)
    assert [answer.status_code for answer in (declared, chunked, endless)] == [413, 413, 413]


async def test_nobody_fills_the_memory_through_an_operators_endpoint(client: httpx.AsyncClient) -> None:
    """FastAPI reads a model's body before it asks for the token; it must not read much."""
    answer = await client.post("/admin/restock", content=in_chunks(50_000_000))
    assert answer.status_code == 413


async def test_a_body_of_exactly_the_limit_is_read(client: httpx.AsyncClient) -> None:
    cart = b'{"items": [{"sku": "pen", "quantity": 1}]}'
    assert (await client.post("/checkout", content=cart.ljust(MAX_BODY_BYTES))).status_code == 200


async def test_sql_in_any_parameter_is_only_text(
    client: httpx.AsyncClient, guarded: Stack, operator: dict[str, str]
) -> None:
    before = await counts(guarded)
    for text in SQL:
        answers = await everywhere(client, operator, text)
        statuses = [answer.status_code for answer in answers]
        assert all(status in (200, 400, 404, 413, 422) for status in statuses), (text, statuses)
        assert all("syntax" not in answer.text and "PostgreSQL" not in answer.text for answer in answers), text
    assert await counts(guarded) == before


async def everywhere(client: httpx.AsyncClient, operator: dict[str, str], text: str) -> list[httpx.Response]:
    """What is answered to the text in the place of each parameter."""
    return [
        await client.get(f"/orders/{httpx.QueryParams({'x': text})}"[:4000].replace("x=", "", 1)),
        await client.post("/orders/" + str(httpx.QueryParams({"": text}))[1:3000] + "/cancel"),
        await client.post("/checkout", json={"items": [{"sku": text, "quantity": 1}]}),
        await client.post("/checkout", data={"sku": text, "quantity": "1"}),
        await client.post("/admin/restock", json={"sku": text, "quantity": 1}, headers=operator),
        await client.get("/checkout/success", params={"session_id": text[:255]}),
        await client.get("/checkout/cancel", params={"order_id": text[:255]}),
        *[
            await client.get("/admin/orders", params={name: text}, headers=operator)
            for name in ("status", "q", "after", "limit")
        ],
        await client.get("/admin/audit", params={"grace": text}, headers=operator),
        await client.get("/orders/ord_x/events", headers={b"Last-Event-ID": text.encode("utf-8", "replace")[:200]})
        if "\x00" not in text
        else await client.get("/orders/%00/events"),
    ]


async def test_every_unknown_order_gets_the_same_answer(client: httpx.AsyncClient) -> None:
    """Byte for byte, and nothing in it that tells a near miss from a far one."""
    known = (await client.post("/checkout")).json()
    near = known["order_id"][:-1] + ("0" if known["order_id"][-1] != "0" else "1")
    ids = [near, "ord_" + secrets.token_hex(16), "x", "%00", "a%0a", "%ff", known["checkout_key"], known["session_id"]]
    for method, path in (("GET", "/orders/{}"), ("GET", "/orders/{}/events"), ("POST", "/orders/{}/cancel")):
        answers = [await client.request(method, path.format(each)) for each in ids]
        assert {answer.status_code for answer in answers} == {404}, (path, [a.status_code for a in answers])
        assert len({answer.content for answer in answers}) == 1
        kinds = {tuple(sorted(name for name in answer.headers if name != "date")) for answer in answers}
        assert len(kinds) == 1, kinds


async def raw(guarded: Stack, request: bytes) -> bytes:
    """What the gateway says to these bytes, whatever they are."""
    address = urlsplit(guarded.urls["gateway"])
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(1.5):
            return await reader.read(65_536)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Huge: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)) + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /checkout HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /checkout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /checkout HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /checkout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: \xff\xfe\r\nAuthorization: \xff\r\nConnection: close\r\n\r\n",
        b"TRACE /checkout HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_bytes_that_are_no_http_end_that_connection_only(
    client: httpx.AsyncClient, guarded: Stack, request_bytes: bytes
) -> None:
    pid = guarded["gateway"].pid
    try:
        answer = await raw(guarded, request_bytes)
    except (ConnectionError, TimeoutError):
        answer = b""
    assert b" 500 " not in answer[:20], answer[:200]
    assert (await client.get("/livez")).status_code == 200
    assert guarded["gateway"].pid == pid


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "HEAD"])
async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    for path in ("/checkout", "/checkout/a-key", "/payment_webhook", "/admin/restock"):
        answer = await client.request(method, path)
        # GET, and so HEAD, of /checkout/{key} is no route at all.
        assert answer.status_code in (404, 405), (method, path)


@pytest.mark.parametrize(
    "path",
    ["//evil.example/%2e%2e", "/%2f%2fevil.example", "/\\evil.example", "/checkout/", "/orders/", "/admin/", "/livez/"],
)
async def test_no_path_redirects_to_another_site(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    location = answer.headers.get("location", "")
    assert not location or urlsplit(location).netloc in ("", client.base_url.netloc.decode())
    assert answer.status_code in (400, 401, 404, 405, 307, 308)


async def test_coming_back_with_a_forged_address_leads_nowhere_else(client: httpx.AsyncClient) -> None:
    order = (await client.post("/checkout")).json()
    for name in ("next", "success_url"):
        answer = await client.get(
            "/checkout/cancel", params={"order_id": order["order_id"], name: "https://evil.example"}
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/orders/{order['order_id']}/view")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/admin@evil.example",
        "javascript:alert(1)",
        "/%0d%0aLocation:%20https://evil.example",
        "/admin\r\nX: y",
        "/\t/evil.example",
        "http:evil.example",
    ],
)
async def test_signing_in_leads_into_the_console_and_nowhere_else(
    client: httpx.AsyncClient, guarded: Stack, target: str
) -> None:
    answer = await client.post("/admin/login", data={"token": guarded.admin_token, "next": target})
    assert answer.status_code == 303
    location = urlsplit(answer.headers["location"])
    assert (location.scheme, location.netloc) == ("", "")
    assert location.path == "/admin" or location.path.startswith("/admin/")


async def test_the_host_header_makes_no_address(client: httpx.AsyncClient) -> None:
    """OWASP, "Host header injection": links come from the settings."""
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}
    answer = await client.post("/checkout", headers=headers)
    assert answer.status_code == 200
    assert "evil.example" not in answer.text + str(dict(answer.headers))
    form = await client.post("/checkout", data={"sku": "pen", "quantity": "1"}, headers=headers)
    assert form.status_code == 303
    assert "evil.example" not in form.headers["location"]
