"""The proxy does to real connections what it says: each fault, on living connections and new ones, and its end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.eventually import eventually
from tests.support.proxy import TcpProxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echoes in upper case; says goodbye at the end of the stream."""
    try:
        while data := await reader.read(65_536):
            writer.write(data.upper())
            await writer.drain()
        writer.write(b"BYE")
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, TcpProxy(*server.sockets[0].getsockname()[:2]) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: TcpProxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(connection: Connection, text: bytes, within: float = 2.0) -> bytes:
    reader, writer = connection
    writer.write(text)
    async with asyncio.timeout(within):
        return await reader.readexactly(len(text))


async def read_until_reset(reader: asyncio.StreamReader, within: float = 2.0) -> bytes:
    """What came before the RST. Raises `AssertionError` when the stream ends properly instead."""
    got = b""
    try:
        async with asyncio.timeout(within):
            while data := await reader.read(100):
                got += data
    except ConnectionResetError:
        return got
    raise AssertionError("the stream ended, it was not reset")


async def test_it_passes_bytes_both_ways_and_the_end_of_the_stream(proxy: TcpProxy) -> None:
    big = b"x" * 1_000_000
    async with connected(proxy) as connection:
        assert await ask(connection, b"hello") == b"HELLO"
        assert await ask(connection, big) == big.upper()
        connection[1].write_eof()
        assert await connection[0].read() == b"BYE"


async def test_a_blackhole_swallows_living_and_new_connections_and_delivers_when_it_ends(proxy: TcpProxy) -> None:
    async with connected(proxy) as living:
        assert await ask(living, b"a") == b"A"
        proxy.blackhole()
        with pytest.raises(TimeoutError):
            await ask(living, b"b", within=0.2)
        await eventually(lambda: proxy.hits["blackhole"] >= 1)
        async with connected(proxy) as new:
            with pytest.raises(TimeoutError):
                await ask(new, b"c", within=0.2)
            await eventually(lambda: proxy.hits["blackhole"] >= 2)
        proxy.pass_through()
        async with asyncio.timeout(20):
            assert await living[0].readexactly(1) == b"B"


async def test_a_one_way_blackhole_lets_the_request_through_and_loses_the_answer(proxy: TcpProxy) -> None:
    async with connected(proxy) as connection:
        proxy.blackhole("client")
        with pytest.raises(TimeoutError):
            await ask(connection, b"a", within=0.2)
        await eventually(lambda: proxy.hits["blackhole"] >= 1)
        assert proxy.hits["blackhole"] == 1  # the answer, not the request


async def test_a_reset_ends_living_connections_at_once_and_new_ones_too(proxy: TcpProxy) -> None:
    async with connected(proxy) as living:
        assert await ask(living, b"a") == b"A"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(20):
                await living[0].readexactly(1)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with connected(proxy) as new:
            await ask(new, b"b")
    proxy.pass_through()
    async with connected(proxy) as after:
        assert await ask(after, b"c") == b"C"


@pytest.mark.parametrize("count", [0, 3])
async def test_a_cut_lets_exactly_so_many_bytes_of_the_answer_pass(proxy: TcpProxy, count: int) -> None:
    async with connected(proxy) as connection:
        assert await ask(connection, b"before") == b"BEFORE"
        proxy.cut_after(count, to="client")
        connection[1].write(b"hello")
        got = await read_until_reset(connection[0])
        assert got == b"HELLO"[:count]
        assert proxy.hits["cut"] == 1


async def test_a_cut_towards_the_server_keeps_the_rest_of_the_request_from_it(proxy: TcpProxy) -> None:
    async with connected(proxy) as connection:
        proxy.cut_after(2, to="server")
        assert await ask(connection, b"ok") == b"OK"
        connection[1].write(b"never")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(20):
                await connection[0].readexactly(5)


async def test_a_delay_is_added_in_both_directions(proxy: TcpProxy) -> None:
    async with connected(proxy) as connection:
        proxy.delay(0.1)
        begun = time.monotonic()
        assert await ask(connection, b"slow") == b"SLOW"
        assert time.monotonic() - begun >= 0.2


async def test_a_half_close_towards_the_server_still_lets_its_answer_through(proxy: TcpProxy) -> None:
    async with connected(proxy) as connection:
        assert await ask(connection, b"a") == b"A"
        proxy.half_close(to="server")
        async with asyncio.timeout(20):
            assert await connection[0].read() == b"BYE"


async def test_a_half_close_towards_the_client_ends_what_it_reads(proxy: TcpProxy) -> None:
    async with connected(proxy) as connection:
        assert await ask(connection, b"a") == b"A"
        proxy.half_close(to="client")
        async with asyncio.timeout(20):
            assert await connection[0].read() == b""


async def test_with_nobody_behind_it_connections_are_reset() -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[:2]
    server.close()
    await server.wait_closed()
    async with TcpProxy(*address) as proxy, connected(proxy) as connection:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await ask(connection, b"a")
