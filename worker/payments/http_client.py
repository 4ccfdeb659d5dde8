"""The stripe library's transport: httpx, without answers of any size. Its own `HTTPXClient` takes no client, so this is
its documented extension point, in its asynchronous half."""

from collections.abc import Mapping
from typing import Any

import httpx
import stripe

MAX_RESPONSE_BYTES = 1_000_000
# With each request httpx looks at every connection of its pool whether it still lives: of 20, and a request costs
# 0.9 ms of CPU instead of 0.45. So many at once are spread over small pools; few share one, and its connections.
_POOLS = 8


class _Pool:
    def __init__(self, **options: Any) -> None:
        self.client, self.in_flight = httpx.AsyncClient(**options), 0


class BoundedHTTPClient(stripe.HTTPClient):
    """Raises `stripe.APIConnectionError` for everything that is not a whole answer of reasonable size."""

    name = "httpx"

    def __init__(self, timeout: httpx.Timeout, **options: Any) -> None:
        super().__init__()
        tls = httpx.create_ssl_context(trust_env=False)
        self._pools = [_Pool(timeout=timeout, verify=tls, **options) for _ in range(_POOLS)]

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        pool = min(self._pools, key=lambda pool: pool.in_flight)
        pool.in_flight += 1
        try:
            async with pool.client.stream(method, url, headers=headers, content=post_data or None) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise httpx.DecodingError("answer too large", request=response.request)
                return bytes(body), response.status_code, response.headers
        except httpx.HTTPError as error:
            message = f"{type(error).__name__} at the payment service"
            raise stripe.APIConnectionError(message) from error  # type: ignore[no-untyped-call] # theirs
        finally:
            pool.in_flight -= 1

    async def close_async(self) -> None:
        for pool in self._pools:
            await pool.client.aclose()
