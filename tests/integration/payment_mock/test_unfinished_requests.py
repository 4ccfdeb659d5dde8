"""What nobody has asked the payment service for yet: heads without end, and requests that are never sent whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from payment_mock.protocol import MAX_HEAD_BYTES, LimitedHttp
from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import KEY, in_process

MEGABYTE = b"a" * 1024 * 1024
BEGIN = b"POST /v1/checkout/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % KEY.encode()


class Hasty(LimitedHttp):
    head_seconds, body_seconds, linger_seconds = 0.2, 0.4, 0.1


async def said_to(url: str, parts: Iterator[bytes]) -> bytes:
    """All that the service says to these bytes, until it closes the connection."""
    port = httpx.URL(url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()

    sending, said = asyncio.create_task(send()), b""
    try:
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65_536):
                    said += part
        return said
    finally:
        sending.cancel()
        writer.close()


def endless(begin: bytes, part: bytes) -> Iterator[bytes]:
    yield begin
    for _ in range(200):
        yield part


@pytest.mark.parametrize(
    ("begin", "part"),
    [(BEGIN + b"X: ", MEGABYTE), (BEGIN, b"X: y\r\n" * 10_000), (b"GET /", MEGABYTE)],
    ids=["one header", "many headers", "the address"],
)
async def test_the_payment_service_refuses_a_head_without_end(service_url: str, begin: bytes, part: bytes) -> None:
    said = await said_to(service_url, endless(begin, part))
    assert said.startswith(b"HTTP/1.1 431 "), said[:200]


async def test_what_is_no_http_is_a_bad_request_however_long(service_url: str) -> None:
    said = await said_to(service_url, iter([b"\x16\x03\x01 no HTTP " * 10_000]))
    assert said.startswith(b"HTTP/1.1 400 "), said[:200]


async def test_the_payment_service_reads_a_head_below_the_bound_each_time(merchant: Merchant) -> None:
    for _ in range(2):
        assert (await merchant.http.get("/livez", headers={"X": "a" * (MAX_HEAD_BYTES - 1024)})).status_code == 200
    assert (await merchant.http.get("/livez", headers={"X": "a" * MAX_HEAD_BYTES})).status_code == 431


@pytest.fixture(scope="module")
async def impatient(payments_database_url: str) -> AsyncIterator[str]:
    async with in_process(payments_database_url, "http://127.0.0.1:9/", protocol=Hasty) as url:
        yield url


@pytest.mark.parametrize("begun", [b"GET /li", BEGIN + b"X: half", BEGIN + b"Content-Length: 10\r\n\r\n{"], ids=repr)
async def test_the_payment_service_gives_up_what_is_never_sent_whole(
    impatient: str, caplog: pytest.LogCaptureFixture, begun: bytes
) -> None:
    said = await said_to(impatient, iter([begun]))
    assert said.startswith(b"HTTP/1.1 408 "), said
    assert caplog.records == []


async def test_a_request_in_time_is_answered_and_its_connection_may_rest(impatient: str) -> None:
    async with httpx.AsyncClient(base_url=impatient) as client:
        for _ in range(2):
            assert (await client.get("/livez")).status_code == 200
            await asyncio.sleep(1.5 * Hasty.body_seconds)
