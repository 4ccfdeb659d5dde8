"""Temporal's web UI reads encrypted histories through here (Temporal, "Codec Server", docs.temporal.io/codec-server).

How to set it, in the UI's "Codec Server" dialog (the glasses, top right), or for the development server by
`temporal server start-dev --ui-codec-endpoint http://localhost:8082/codec`:

- endpoint: the gateway's address followed by `/codec`; "Include cross-origin credentials": on;
- who may decode: an operator. The browser shows it by a cookie that signing in at `/admin` gives, or
  `POST /codec/session` for the operator token (HttpOnly, SameSite=Strict: gateway and UI must be one site, as two
  ports of localhost or two names of one domain are). A UI behind a proxy that sends `Authorization: Bearer <operator
  token>` ("Pass access token") needs no cookie.

Only pages of `CHECKOUT_TEMPORAL_UI_URL` may read the answer (CORS, Fetch Standard 3.2), and only decoding is offered:
nobody gets a payload of his own making encrypted. A payload that cannot be decrypted comes back as it was.
"""

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from google.protobuf import json_format
from starlette.responses import Response
from temporalio.api.common.v1 import Payload, Payloads

from api.auth import OperatorDependency, is_operator_token
from api.limits import MAX_CODEC_BYTES, read_body
from api.problems import Problem
from checkout.errors import PayloadKeyMissing
from runtime.codec import EncryptingCodec
from runtime.settings import Settings

COOKIE = "checkout_codec"
COOKIE_SECONDS = 12 * 3600
# All that Temporal's UI 2.54 sends.
_ALLOWED_HEADERS = "content-type, x-namespace, authorization, authorization-extras"
_PAYLOAD = {"type": "object", "properties": {"metadata": {"type": "object"}, "data": {"type": "string"}}}
_PAYLOADS = {"type": "object", "properties": {"payloads": {"type": "array", "items": _PAYLOAD}}}
_REQUEST = {"requestBody": {"required": True, "content": {"application/json": {"schema": _PAYLOADS}}}}


def create_router(settings: Settings) -> APIRouter:
    """`POST /codec/decode` and `POST /codec/session`. Wanted only where `CHECKOUT_PAYLOAD_KEYS` is set."""
    router = APIRouter(prefix="/codec", tags=["operator"])
    codec = EncryptingCodec(settings.payload_keys)
    ui = _origin(settings.temporal_ui_url)

    @router.options("/decode", include_in_schema=False)
    async def preflight(request: Request) -> Response:
        return Response(status_code=204, headers=_cors(request, ui) | {"Access-Control-Max-Age": "600"})

    @router.post("/decode", summary="Decrypt payloads of a history, for Temporal's UI", openapi_extra=_REQUEST)
    async def decode(request: Request) -> Response:
        headers = _cors(request, ui) | {"Cache-Control": "no-store"}
        try:
            _check_operator(request, settings)
            payloads = _parse(await read_body(request, MAX_CODEC_BYTES))
        except Problem as problem:
            problem.headers |= headers
            raise
        opened = Payloads(payloads=[_opened(codec, payload) for payload in payloads.payloads])
        return Response(json_format.MessageToJson(opened, indent=None), 200, headers, "application/json")

    @router.post("/session", status_code=204, summary="Let this browser decode", response_class=Response)
    async def session(_: OperatorDependency) -> Response:
        response = Response(status_code=204)
        let_in(response, settings)
        return response

    return router


def let_in(response: Response, settings: Settings) -> None:
    """Give an operator's browser the cookie. Signing in to the console does it too."""
    response.set_cookie(
        COOKIE,
        _cookie(settings, int(time.time()) + COOKIE_SECONDS),
        max_age=COOKIE_SECONDS,
        path="/codec",
        httponly=True,
        samesite="strict",
        secure=settings.public_url.startswith("https://"),
    )


def _check_operator(request: Request, settings: Settings) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_operator_token(settings, token.strip()):
        return
    cookie = request.cookies.get(COOKIE, "")
    expiry = cookie.partition(".")[0]
    is_current = expiry.isascii() and expiry.isdigit() and len(expiry) < 12 and int(expiry) > time.time()
    if is_current and hmac.compare_digest(cookie.encode(), _cookie(settings, int(expiry)).encode()):
        return
    raise Problem(401, "not-authorized", "An operator token is needed", headers={"WWW-Authenticate": "Bearer"})


def _cookie(settings: Settings, expiry: int) -> str:
    """`<expiry>.<MAC>`: says only until when; whoever changes the operator token ends every session."""
    token = settings.admin_token.get_secret_value().encode()
    return f"{expiry}.{hmac.new(token, f'codec-session:{expiry}'.encode(), hashlib.sha256).hexdigest()}"


def _cors(request: Request, ui: str) -> dict[str, str]:
    """Raises a 403 `Problem` for pages of any other origin. Without `Origin` it is no page that asks."""
    origin = request.headers.get("origin")
    if origin is None:
        return {"Vary": "Origin"}
    if origin != ui:
        raise Problem(403, "origin-not-allowed", "Only Temporal's web UI may ask", headers={"Vary": "Origin"})
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": ui,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _parse(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, ValueError, RecursionError):
        raise Problem(400, "malformed-payloads", "The body is not a list of payloads") from None


def _opened(codec: EncryptingCodec, payload: Payload) -> Payload:
    try:
        return codec.decrypt(payload)
    except PayloadKeyMissing:
        return payload
