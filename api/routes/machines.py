"""For machines: the payment service's signed events (`webhook`); liveness, readiness and Prometheus (`probes`)."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from temporalio.service import RPCError

from api import webhooks
from api.problems import unavailable
from api.state import GatewayDependency
from checkout.errors import WritesRefused
from db import catalogue

webhook = APIRouter(tags=["payment service"])
probes = APIRouter(tags=["probes"])

_EVENT = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_SIGNATURE = "`t=<unix seconds>,v1=<HMAC-SHA256>`, several `v1` while secrets are rotated. Without it: 400."


@webhook.post("/payment_webhook/", include_in_schema=False)  # as it is easily typed into a dashboard
@webhook.post("/payment_webhook", summary="Take a signed event", openapi_extra=_EVENT)
async def payment_webhook(
    request: Request, gateway: GatewayDependency, stripe_signature: Annotated[str, Header(description=_SIGNATURE)] = ""
) -> JSONResponse:
    """200 once the event is safely with Temporal; 400 for a bad signature; 503 to have it sent again."""
    payload = await request.body()
    secrets = [secret.get_secret_value() for secret in gateway.settings.stripe_webhook_secrets]
    webhooks.verify(payload, stripe_signature, secrets)
    event = webhooks.parse(payload, gateway.settings.is_live)
    if event is not None:
        await webhooks.deliver(event, gateway.temporal, gateway.engine)
        webhooks.EVENTS.labels("taken").inc()
    return JSONResponse({"received": True})


@probes.get("/livez", response_class=PlainTextResponse)
async def livez() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok\n")


@probes.get("/readyz")
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


@probes.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
