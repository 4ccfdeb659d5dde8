"""The edge of the Stripe API: keys, bodies, request ids, and one place that renders every error."""

import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from payment_mock.database import is_unfit, is_unreachable
from payment_mock.domain import errors, form, ids, wire
from payment_mock.faults.replies import FaultReply
from payment_mock.provider import Declined
from payment_mock.service import Service
from payment_mock.store.idempotency import Answer, Key

MAX_BODY = 256 * 1024
_FORM = "application/x-www-form-urlencoded"


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]
Handler = Callable[[Service, Request], Awaitable[Answer | wire.Json]]


def stripe_route(method: str, path: str, handler: Handler) -> Route:
    """Authenticate, call, and answer as Stripe does: every reply carries a `request-id`, every error is an object."""

    async def endpoint(request: Request) -> Response:
        request.state.request_id = ids.request_id()
        service = _service(request)
        try:
            _authenticate(service, request)
            made = await handler(service, request)
            answer = made if isinstance(made, Answer) else Answer(200, wire.encode(made))
            response = Response(answer.body, answer.status, answer.headers, "application/json")
        except Exception as error:
            if (known := rendered(error)) is None:
                raise
            response = known
        response.headers["request-id"] = request.state.request_id
        response.headers["stripe-version"] = wire.API_VERSION
        if (key := request.headers.get("idempotency-key")) and key.isascii() and key.isprintable():
            response.headers["idempotency-key"] = key
        return response

    return Route(path, endpoint, methods=[method] if method else ["GET", "POST", "PUT", "PATCH", "DELETE"])


def rendered(error: Exception) -> Response | None:
    """The answer that an error is; None for a bug."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # which nobody reads
    if isinstance(error, FaultReply):
        return error.response()
    if isinstance(error, Declined):
        error = errors.card_declined(error.code, wire.decline_message(error.code))
    elif is_unfit(error):
        error = errors.invalid_request("Invalid string or number: it cannot be stored.")
    elif is_unreachable(error):
        error = errors.api_error(503, "The database is not reachable; try again.")
    if not isinstance(error, errors.StripeError):
        return None
    headers = {"www-authenticate": 'Bearer realm="Stripe"'} if error.status == 401 else {}
    if error.status in (409, 429, 503):
        headers["stripe-should-retry"] = "true"
    return Response(wire.encode(error.body), error.status, headers, "application/json")


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, refused (413) as soon as it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise errors.invalid_request(f"The request body is over {limit} bytes.", status=413)
    return bytes(body)


async def read_form(request: Request) -> tuple[form.Params, Key | None]:
    """The parameters, and the idempotency key that they come with. Raises `StripeError` (400)."""
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise errors.invalid_request(f"Invalid request (check that your POST content type is {_FORM}).")
    body = await read_body(request)
    return form.parse(body), _idempotency_key(request, body)


def query(request: Request) -> form.Params:
    return form.parse(request.scope["query_string"])


def _idempotency_key(request: Request, body: bytes) -> Key | None:
    value = request.headers.get("idempotency-key")
    if not value:
        return None
    if len(value) > 255 or not value.isprintable():
        raise errors.StripeError(400, "idempotency_error", "Idempotency keys must be 1 to 255 printable characters.")
    path = request.url.path
    return Key(value, path, form.fingerprint(path, body), request.state.request_id)


def _authenticate(service: Service, request: Request) -> None:
    """`Authorization: Bearer sk_…`, or basic auth with the key as user (docs.stripe.com/api/authentication)."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    key = credentials.strip() if scheme.lower() == "bearer" else ""
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(credentials).decode().partition(":")[0]
        except ValueError:
            key = ""
    if not key:
        raise errors.invalid_request(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if not hmac.compare_digest(key.encode(), service.settings.secret_key.get_secret_value().encode()):
        masked = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * 8
        raise errors.invalid_request(f"Invalid API Key provided: {masked}", status=401)
