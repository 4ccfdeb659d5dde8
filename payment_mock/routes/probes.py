"""Probes: `/livez` says that the process answers, `/readyz` that its database takes writes."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from payment_mock.database import UNREACHABLE, brief
from payment_mock.service import Service


async def livez(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    service: Service = request.app.state.service
    if not service.database.ready.is_set():
        return JSONResponse({"status": "starting", "database": "not migrated yet"}, 503)
    try:
        async with asyncio.timeout(2):
            await service.database.check()
    except UNREACHABLE as error:
        return JSONResponse({"status": "unavailable", "database": brief(error)}, 503)
    return JSONResponse({"status": "ok"})


routes = [Route("/livez", livez), Route("/readyz", readyz)]
