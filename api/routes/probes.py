"""Liveness, readiness and Prometheus."""

from datetime import timedelta

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from temporalio.service import RPCError

from api.problems import unavailable
from api.state import GatewayDependency
from checkout.errors import WritesRefused
from db import catalogue

router = APIRouter(tags=["probes"])


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(gateway: GatewayDependency) -> JSONResponse:
    """PostgreSQL takes writes, and Temporal answers."""
    try:
        await gateway.writing.look()
    except WritesRefused as refusal:
        raise unavailable(f"{refusal}.") from None
    async with gateway.engine.connect() as connection:
        await catalogue.look(connection)
    try:
        await gateway.temporal.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        raise unavailable("Temporal does not answer.") from None
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
