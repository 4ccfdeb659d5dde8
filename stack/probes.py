"""Cheap questions to a part: does it answer? Each returns when it does and raises `NotReady` when not (yet).

Neither httpx nor temporalio: the supervisor should be up before the first of them is imported.
"""

import asyncio
from urllib.parse import urlsplit

from stack.errors import NotReady

_PATIENCE = 3.0  # seconds for one question; a loaded small machine may need a while to say yes


async def tcp_open(host: str, port: int) -> None:
    """Somebody accepts connections on host:port."""
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise NotReady(f"nobody answers on {host}:{port}") from error
    writer.close()


async def http_ok(url: str) -> None:
    """`GET url` (plain http) answers 200."""
    address = urlsplit(url)
    path = address.path or "/"
    request = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                writer.write(request.encode())
                status = (await reader.readline()).decode(errors="replace").split(maxsplit=2)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise NotReady(f"{url} does not answer") from error
    if len(status) < 2 or status[1] != "200":
        raise NotReady(f"{url} answers {status[1] if len(status) > 1 else 'nothing'}")
