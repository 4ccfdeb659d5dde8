"""What is counted, behind an application that has a bug."""

import httpx
from fastapi import FastAPI
from prometheus_client import REGISTRY

from api.middleware.edge import Edge
from api.middleware.last_words import LastWords
from api.waiting import Stopping


async def test_a_bug_is_counted_like_every_answer() -> None:
    app = FastAPI()
    app.add_middleware(LastWords, stopping=Stopping())
    app.add_middleware(Edge)

    @app.get("/broken/{part}")
    async def broken(part: str) -> None:
        raise KeyError(part)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert (await client.get("/broken/7")).status_code == 500
    counted = {"method": "GET", "route": "/broken/{part}", "status": "500"}
    assert REGISTRY.get_sample_value("checkout_http_requests_total", counted) == 1
