"""The edge of HTTP: keys, bodies, request ids, and one place that renders every error."""

import base64
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar, cast

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from payment_mock import idempotency
from payment_mock.database import is_unfit, is_unreachable
from payment_mock.domain import errors, form, wire
from payment_mock.domain.objects import Json, new_id
from payment_mock.idempotency import Key, Reply
from payment_mock.service import About, Service
from payment_mock.work import Work

_FORM = "application/x-www-form-urlencoded"
P = TypeVar("P")


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


class Body(BaseModel, extra="forbid"):
    """A body in JSON, in which nothing is that we do not know."""


TheService = Annotated[Service, Depends(_service)]


@dataclass(frozen=True)
class Call(Generic[P]):
    """A request to Stripe's API: who is asked, for what."""

    service: Service
    request: Request
    params: P

    @property
    def id(self) -> str:
        return str(self.request.path_params["id"])


Handler = Callable[[Call[P], Work], Awaitable[Json]]


def stripe_route(
    method: str,
    path: str,
    parse: Callable[[form.Form], P] | None,
    handler: Handler[P],
    operation: str = "",
    about: Callable[[Call[P]], About] = lambda _: None,
) -> Route:
    """Authenticate, call, and answer as Stripe does: every reply carries a `request-id`, every error is an object.

    Without `parse` the parameters are passed over, unread. `operation` and `about` as in `Service.perform`.
    """

    async def answered(request: Request) -> Response:
        service = _service(request)
        _authenticate(service, request)
        given, key = ({}, None) if parse is None else await _read(request)
        if key is not None:  # before all else: what a repeat asks for (`expires_at`) may have come too near meanwhile
            await idempotency.recall(service.database, key)
        call: Call[Any] = Call(service, request, parse(given) if parse else None)

        async def steps(work: Work, params: Any) -> Response:
            told = replace(call, params=params)
            if key is None:
                return wire.response(await handler(told, work))
            try:
                answer = wire.response(await handler(told, work))
            except errors.StripeError as error:  # remembered as well: execution had begun
                answer = wire.response(error.body, error.status)
            work.answers = idempotency.remembered(key, answer)
            return answer

        return await service.perform(steps, call.params, operation, about(call), key)

    async def endpoint(request: Request) -> Response:
        request.state.request_id = new_id("req_", 14)
        try:
            response = await answered(request)
        except Exception as error:
            response = await rendered(request, error)
        response.headers.update({"request-id": request.state.request_id, "stripe-version": wire.API_VERSION})
        if (key := request.headers.get("idempotency-key")) and key.isascii() and key.isprintable():
            response.headers["idempotency-key"] = key
        return response

    return Route(path, endpoint, methods=[method] if method else ["GET", "POST", "PUT", "PATCH", "DELETE"])


async def rendered(_: Request, error: Exception) -> Response:
    """The answer that an error is, an error object of Stripe's. Raises again what is a bug."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # which nobody reads
    if isinstance(error, Reply):
        return error.response
    if is_unfit(error):
        error = errors.invalid_request("Invalid string or number: it cannot be stored.")
    elif is_unreachable(error):
        error = errors.api_error(503, "The database is not reachable; try again.")
    if not isinstance(error, errors.StripeError):
        raise error
    headers = {"www-authenticate": 'Bearer realm="Stripe"'} if error.status == 401 else {}
    if error.status in (409, 429, 503):
        headers["stripe-should-retry"] = "true"
    return wire.response(error.body, error.status, headers)


async def read_body(request: Request, limit: int = 256 * 1024) -> bytes:
    """The body, refused (413) as soon as it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise errors.invalid_request(f"The request body is over {limit} bytes.", status=413)
    return bytes(body)


async def _read(request: Request) -> tuple[form.Form, Key | None]:
    """The parameters, and the idempotency key that they come with. Raises `StripeError` (400)."""
    if request.method != "POST":
        return form.parse(request.scope["query_string"]), None
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise errors.invalid_request(f"Invalid request (check that your POST content type is {_FORM}).")
    body = await read_body(request)
    given, value = form.parse(body), request.headers.get("idempotency-key")
    if not value:
        return given, None
    if len(value) > 255 or not value.isprintable():
        raise errors.StripeError(400, "idempotency_error", "Idempotency keys must be 1 to 255 printable characters.")
    path = request.url.path
    return given, Key(value, path, form.fingerprint(path, body), request.state.request_id)


def _authenticate(service: Service, request: Request) -> None:
    """`Authorization: Bearer sk_…`, or basic auth with the key as user (docs.stripe.com/api/authentication)."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    key = credentials.strip() if scheme.lower() == "bearer" else ""
    if scheme.lower() == "basic":
        with suppress(ValueError):
            key = base64.b64decode(credentials).decode().partition(":")[0]
    if not key:
        raise errors.invalid_request(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if not hmac.compare_digest(key.encode(), service.settings.secret_key.get_secret_value().encode()):
        masked = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * 8
        raise errors.invalid_request(f"Invalid API Key provided: {masked}", status=401)
