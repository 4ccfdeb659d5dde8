"""The edge of the Stripe API: keys, bodies, request ids, and one place that renders every error."""

import base64
import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from payment_mock.database import is_unfit, is_unreachable
from payment_mock.domain import errors, form, ids, wire
from payment_mock.faults.replies import FaultReply
from payment_mock.service import Answer, Service
from payment_mock.store.idempotency import Key

MAX_BODY = 256 * 1024
_FORM = "application/x-www-form-urlencoded"

Handler = Callable[[Service, Request], Awaitable[Answer]]


def stripe_endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Authenticate, call, and answer as Stripe does: every reply carries a `request-id`, every error is an object."""

    async def endpoint(request: Request) -> Response:
        request.state.request_id = ids.request_id()
        service: Service = request.app.state.service
        try:
            _authenticate(service, request)
            answer = await handler(service, request)
            response = Response(answer.body, answer.status, answer.headers, "application/json")
        except errors.StripeError as error:
            response = error_response(error)
        except FaultReply as fault:
            response = fault.response()
        except Exception as error:
            if (known := of_database(error)) is None:
                raise
            response = error_response(known)
        response.headers["request-id"] = request.state.request_id
        response.headers["stripe-version"] = wire.API_VERSION
        if (key := request.headers.get("idempotency-key")) and key.isascii() and key.isprintable():
            response.headers["idempotency-key"] = key
        return response

    return endpoint


def of_database(error: Exception) -> errors.StripeError | None:
    """What the database's refusal means to a client; None for a bug."""
    if is_unfit(error):
        return errors.invalid_request("Invalid string or number: it cannot be stored.")
    if is_unreachable(error):
        return errors.api_error(503, "The database is not reachable; try again.")
    return None


def error_response(error: errors.StripeError) -> Response:
    headers = {}
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="Stripe"'
    if error.status in (409, 429, 503):
        headers["stripe-should-retry"] = "true"
    return Response(wire.encode(error.body), error.status, headers, "application/json")


def answer(value: object, status: int = 200) -> Answer:
    return Answer(status, wire.encode(value))


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, refused (413) as soon as it is over the limit."""
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise errors.invalid_request(f"The request body is over {limit} bytes.", status=413)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_form(request: Request) -> tuple[form.Params, bytes]:
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise errors.invalid_request(
            f"Invalid request (check that your POST content type is {_FORM}). If you have questions, we can help at "
            "https://support.stripe.com/."
        )
    body = await read_body(request)
    return form.parse(body), body


def query(request: Request) -> form.Params:
    return form.parse(request.scope["query_string"])


def text_param(params: form.Params, name: str) -> str | None:
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise errors.invalid_request("Invalid string", param=name)
    return value


def idempotency_key(request: Request, body: bytes) -> Key | None:
    """The request's key and fingerprint. Raises `StripeError` (400) for a key that is too long or not text."""
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
    key = ""
    if scheme.lower() == "bearer":
        key = credentials.strip()
    elif scheme.lower() == "basic":
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
        raise errors.invalid_request(f"Invalid API Key provided: {_masked(key)}", status=401)


def _masked(key: str) -> str:
    return f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * 8
