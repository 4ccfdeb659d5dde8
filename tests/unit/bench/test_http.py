"""The benchmark's own HTTP client, against sockets that behave as servers may."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench.http import Connection, HTTPFailed

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def request_of(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().partition("content-length:")[2].split("\r\n")[0] or 0)
    return head, await reader.readexactly(length)


async def test_a_connection_is_kept_and_used_again() -> None:
    connections, requests = 0, []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            requests.append(await request_of(reader))
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Name: a: b\r\n\r\n{"a": 1}')

    async with serving(script) as url, Connection(url) as connection:
        first = await connection.request("POST", "/one", b"body", {"Accept": "x"})
        await connection.request("GET", "/two")
    assert connections == 1
    assert (first.status, first.json(), first.headers["x-name"]) == (200, {"a": 1}, "a: b")
    assert requests[0][0].startswith("POST /one HTTP/1.1\r\n")
    assert requests[0][1] == b"body"


async def test_chunked_and_empty_answers_are_read_to_their_end() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_of(reader)
            for byte in answer:  # in the smallest pieces a network can make
                writer.write(bytes([byte]))
                await asyncio.sleep(0)

    async with serving(script) as url, Connection(url) as connection:
        bodies = [(await connection.request("GET", "/")).body for _ in answers]
    assert bodies == [b"wikipedia ", b"", b"ok"]


async def test_a_connection_the_server_closed_while_idle_is_opened_again() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(script) as url, Connection(url) as connection:
        for _ in range(3):
            assert (await connection.request("GET", "/")).status == 200
            await asyncio.sleep(0.01)


async def test_an_answer_that_ends_too_early_is_not_asked_for_twice() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answer in (b"0\r\n\r\n", b"10\r\n\r\nhalf"):
            await request_of(reader)
            requests += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + answer)

    async with serving(script) as url, Connection(url) as connection:
        await connection.request("GET", "/")
        with pytest.raises(HTTPFailed):
            await connection.request("POST", "/")
    assert requests == 2


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"HTTP/1.1 200"],
)
async def test_what_is_not_an_answer_is_a_failure(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)

    async with serving(script) as url, Connection(url) as connection:
        with pytest.raises(HTTPFailed):
            await connection.request("GET", "/")


async def test_a_body_that_would_fill_the_memory_is_not_read() -> None:
    size = 3 << 20

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await reader.read()

    async with serving(script) as url, Connection(url) as connection:
        with pytest.raises(HTTPFailed, match=str(size)):
            await connection.request("GET", "/")


async def test_silence_ends_with_the_timeout() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(script) as url, Connection(url, timeout=0.1) as connection:
        with pytest.raises(HTTPFailed):
            await connection.request("GET", "/")


def test_only_plain_http_is_spoken() -> None:
    with pytest.raises(ValueError, match="plain http"):
        Connection("https://shop.example")
