"""Temporal's web UI reads encrypted histories through here (docs.temporal.io/codec-server; how to set it says
docs/real-parts.md). Only pages of `CHECKOUT_TEMPORAL_UI_URL` may read the answer (CORS), and only decoding is offered:
nobody gets a payload of his own making encrypted. What cannot be decrypted comes back as it was."""

from fastapi import APIRouter, Depends, Request
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from api.middleware import origin_of
from api.problems import Problem
from api.state import GatewayDependency, operator
from checkout.errors import PayloadKeyMissing
from runtime.codec import EncryptingCodec

router = APIRouter(prefix="/codec", tags=["operator"])  # only where `CHECKOUT_PAYLOAD_KEYS` is set

_DECODE = "/codec/decode"
# All that Temporal's UI 2.54 sends.
_ALLOWED_HEADERS = ("content-type", "x-namespace", "authorization", "authorization-extras")
_PAYLOAD = {"type": "object", "properties": {"metadata": {"type": "object"}, "data": {"type": "string"}}}
_PAYLOADS = {"type": "object", "properties": {"payloads": {"type": "array", "items": _PAYLOAD}}}
_REQUEST = {"requestBody": {"required": True, "content": {"application/json": {"schema": _PAYLOADS}}}}


class Cors(CORSMiddleware):
    """Only pages of Temporal's UI may read an answer of the codec, and no other answer of the gateway."""

    def __init__(self, app: ASGIApp, ui: str) -> None:
        super().__init__(
            app,
            allow_origins=[origin_of(ui) or ""],
            allow_credentials=True,
            allow_methods=["POST"],
            allow_headers=_ALLOWED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_readable = scope["type"] == "http" and scope["path"] == _DECODE
        await (super().__call__ if is_readable else self.app)(scope, receive, send)


@router.post("/decode", summary="Decrypt payloads of a history, for Temporal's UI", openapi_extra=_REQUEST)
async def decode(request: Request, gateway: GatewayDependency) -> Response:
    if await gateway.sessions.find(request, for_codec=True) is None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        gateway.operators.admit(request, token.strip() if scheme.lower() == "bearer" else "")
    try:
        given = json_format.Parse(await request.body(), Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError):
        raise Problem(400, "malformed-payloads", "The body is not a list of payloads") from None
    codec = EncryptingCodec(gateway.settings.payload_keys)
    answer = Payloads(payloads=[_opened(codec, payload) for payload in given.payloads])
    return Response(json_format.MessageToJson(answer, indent=None), media_type="application/json")


@router.post("/session", status_code=204, summary="Let this browser decode", dependencies=[Depends(operator)])
async def session(gateway: GatewayDependency) -> Response:
    response = Response(status_code=204)
    gateway.sessions.open(response, for_codec_only=True)
    return response


@router.delete("/session", status_code=204, summary="Let it decode no longer")
async def end_session(request: Request, gateway: GatewayDependency) -> Response:
    response = Response(status_code=204)
    if found := await gateway.sessions.find(request, for_codec=True):
        await gateway.sessions.end(found, response)
    return response


def _opened(codec: EncryptingCodec, payload: Payload) -> Payload:
    try:
        return codec.decrypt(payload)
    except PayloadKeyMissing:
        return payload
