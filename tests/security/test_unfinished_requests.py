"""What nobody has asked for yet: heads without end, and requests that are never sent whole. Raw bytes, real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.protocol import MAX_HEAD_BYTES, BoundedHttp
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.eventually import eventually

MEGABYTE = 1024 * 1024
BEGIN = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /checkout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Hasty(BoundedHttp):
    head_seconds = 0.3
    body_seconds = 0.6


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers once the whole body is there, with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % length})


@pytest.fixture
async def impatient() -> AsyncIterator[int]:
    """The port of a server that has no patience."""
    [port] = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(echo, port=port, http=Hasty, ws="none", lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, what="the server")
    yield port
    server.should_exit = True
    await running


async def told(port: int, parts: Iterator[bytes], within: float = 20.0) -> bytes:
    """All that the server says to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()

    sending = asyncio.create_task(send())
    said = b""
    try:
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65_536):
                    said += part
        return said
    finally:
        sending.cancel()
        writer.close()


def port_of(stack: Stack) -> int:
    return int(urlsplit(stack.urls["gateway"]).port or 0)


def endless_header() -> Iterator[bytes]:
    yield BEGIN + b"X: "
    for _ in range(300):
        yield b"a" * MEGABYTE


def many_headers() -> Iterator[bytes]:
    yield BEGIN
    for number in range(0, 100_000, 1000):
        yield b"".join(b"X-%d: 1\r\n" % each for each in range(number, number + 1000))
    yield b"\r\n"


def endless_address() -> Iterator[bytes]:
    yield b"GET /"
    for _ in range(300):
        yield b"a" * MEGABYTE


def endless_trailer() -> Iterator[bytes]:
    yield CHUNKED + b"2\r\n{}\r\n0\r\nX: "
    for _ in range(300):
        yield b"a" * MEGABYTE


def endless_chunk_extension() -> Iterator[bytes]:
    yield CHUNKED + b"2;"
    for _ in range(300):
        yield b"a" * MEGABYTE


def blank_lines() -> Iterator[bytes]:
    for _ in range(300):
        yield b"\r\n" * (MEGABYTE // 2)


def memory(pid: int) -> int:
    """Resident bytes (proc(5), statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(
    "parts",
    [endless_header, many_headers, endless_address, endless_trailer, endless_chunk_extension, blank_lines],
    ids=lambda parts: parts.__name__,
)
async def test_a_head_without_end_is_refused_and_hurts_nobody(
    client: httpx.AsyncClient, guarded: Stack, parts: object
) -> None:
    await client.get("/livez")
    before = memory(guarded["gateway"].pid)
    said = await told(port_of(guarded), parts())
    assert said.startswith(b"HTTP/1.1 431 "), said[:200]
    assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "headers-too-large"
    assert memory(guarded["gateway"].pid) - before < 8 * MEGABYTE
    assert (await client.get("/livez")).status_code == 200


async def test_a_head_below_the_bound_is_read_and_one_above_is_not(client: httpx.AsyncClient) -> None:
    spare = 1024  # for the request line and the client's own headers
    assert (await client.get("/livez", headers={"X": "a" * (MAX_HEAD_BYTES - spare)})).status_code == 200
    # More than once on one connection: each request has a bound of its own.
    assert (await client.get("/livez", headers={"X": "a" * (MAX_HEAD_BYTES - spare)})).status_code == 200
    refused = await client.get("/livez", headers={"X": "a" * MAX_HEAD_BYTES})
    assert refused.status_code == 431
    assert 'checkout_http_refused_total{status="431"}' in (await client.get("/metrics")).text
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: half",
        b"GET /li",
        b"\r\n",
        b"POST /checkout HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
        CHUNKED + b"5\r\n{",
        CHUNKED + b"2\r\n{}\r\n0\r\nX: half",
    ],
    ids=repr,
)
async def test_a_request_that_is_never_sent_whole_is_given_up(impatient: int, begun: bytes) -> None:
    said = await told(impatient, iter([begun]))
    assert said.startswith(b"HTTP/1.1 408 "), said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "request-timeout"


async def test_a_request_sent_byte_by_byte_gets_no_more_time(impatient: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient)
    writer.write(BEGIN)
    said = b""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):  # it was closed while a letter was on its way
            while not reader.at_eof():
                writer.write(b"X")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        said += await reader.read(65_536)
    writer.close()
    assert said == b"" or said.startswith(b"HTTP/1.1 408 ")


async def test_a_connection_that_asks_nothing_is_closed_without_a_word(impatient: int) -> None:
    assert await told(impatient, iter([])) == b""


async def test_a_connection_that_was_used_may_rest_and_be_used_again(impatient: int) -> None:
    """What limits a request that is being sent does not limit the pause between two."""
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient)
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    for _ in range(2):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(1.5 * Hasty.body_seconds)
    writer.close()


async def test_five_hundred_half_sent_requests_are_gone_soon(impatient: int) -> None:
    said = await asyncio.gather(*(told(impatient, iter([BEGIN])) for _ in range(500)))
    # That each has ended is the point; one that was too late to send anything is closed without a word.
    answered = [each for each in said if each]
    assert {each[:13] for each in answered} == {b"HTTP/1.1 408 "}
    assert len(answered) > 400


async def test_requests_sent_ahead_are_bounded(guarded: Stack, client: httpx.AsyncClient) -> None:
    def ahead() -> Iterator[bytes]:
        for _ in range(100):
            yield b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 5000

    before = memory(guarded["gateway"].pid)
    said = await told(port_of(guarded), ahead())
    assert said.count(b"HTTP/1.1 200 ") < 1000
    assert memory(guarded["gateway"].pid) - before < 8 * MEGABYTE
    assert (await client.get("/livez")).status_code == 200
