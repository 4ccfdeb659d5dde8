"""For machines: the payment service's signed events (`webhook`); liveness, readiness and Prometheus (`probes`); and
encrypted histories in plain text, for Temporal's web UI (`codec`: docs.temporal.io/codec-server)."""

from datetime import timedelta

from fastapi import APIRouter, Depends, Request
from google.protobuf import json_format
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.service import RPCError

from api import catalogue, webhooks
from api.gateway import GatewayDependency, operator
from api.problems import Problem, unavailable
from checkout.errors import PayloadKeyMissing, WritesRefused
from runtime.codec import EncryptingCodec

webhook = APIRouter(tags=["payment service"])
probes = APIRouter(tags=["probes"])
codec = APIRouter(prefix="/codec", tags=["operator"])  # only where `CHECKOUT_PAYLOAD_KEYS` is set

_SIGNATURE = {
    "name": "Stripe-Signature",
    "in": "header",
    "required": True,  # an event without it is refused like one that is signed wrongly: 400
    "schema": {"type": "string"},
    "description": "`t=<unix seconds>,v1=<HMAC-SHA256>`, several `v1` while secrets are rotated.",
}
_EVENT = {
    "parameters": [_SIGNATURE],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}
_PAYLOAD = {"type": "object", "properties": {"metadata": {"type": "object"}, "data": {"type": "string"}}}
_PAYLOADS = {"type": "object", "properties": {"payloads": {"type": "array", "items": _PAYLOAD}}}
_DECODE = {"requestBody": {"required": True, "content": {"application/json": {"schema": _PAYLOADS}}}}


@webhook.post("/payment_webhook/", include_in_schema=False)  # as it is easily typed into a dashboard
@webhook.post("/payment_webhook", summary="Take a signed event", openapi_extra=_EVENT)
async def payment_webhook(request: Request, gateway: GatewayDependency) -> JSONResponse:
    """200 once the event is safely with Temporal; 400 for a bad signature; 503 to have it sent again."""
    payload = await request.body()
    signature = request.headers.get("stripe-signature", "")
    await webhooks.take(payload, signature, gateway.settings, gateway.temporal, gateway.engine)
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
    await catalogue.look(gateway.engine)
    try:
        await gateway.temporal.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        raise unavailable("Temporal does not answer.") from None
    return JSONResponse({"status": "ready"})


@probes.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@codec.post("/decode", summary="Decrypt payloads of a history, for Temporal's UI", openapi_extra=_DECODE)
async def decode(request: Request, gateway: GatewayDependency) -> Response:
    """Only decoding is offered: nobody gets a payload of their own making encrypted. What cannot be decrypted comes
    back as it was."""
    if await gateway.sessions.find(request, for_codec=True) is None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        gateway.operators.admit(request, token.strip() if scheme.lower() == "bearer" else "")
    try:
        given = json_format.Parse(await request.body(), Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError):
        raise Problem(400, "malformed-payloads", "The body is not a list of payloads") from None
    keys = EncryptingCodec(gateway.settings.payload_keys)
    answer = Payloads(payloads=[_opened(keys, payload) for payload in given.payloads])
    return Response(json_format.MessageToJson(answer, indent=None), media_type="application/json")


@codec.post("/session", status_code=204, summary="Let this browser decode", dependencies=[Depends(operator)])
async def session(gateway: GatewayDependency) -> Response:
    response = Response(status_code=204)
    gateway.sessions.open(response, for_codec_only=True)
    return response


@codec.delete("/session", status_code=204, summary="Let it decode no longer")
async def end_session(request: Request, gateway: GatewayDependency) -> Response:
    response = Response(status_code=204)
    if found := await gateway.sessions.find(request, for_codec=True):
        await gateway.sessions.end(found, response)
    return response


def _opened(keys: EncryptingCodec, payload: Payload) -> Payload:
    try:
        return keys.decrypt(payload)
    except PayloadKeyMissing:
        return payload
