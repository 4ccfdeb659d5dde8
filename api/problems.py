"""Every error as RFC 9457 `application/problem+json`. HTTP status belongs here; domain errors carry codes.

Bodies name what the client can act on and never quote internals: no SQL, no stack, no secrets.
"""

import logging
from collections.abc import Mapping
from typing import Any

from asyncpg import InterfaceError, PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from temporalio.service import RPCError

from checkout.errors import InvalidKey, OrderNotFound, ProductNotFound, UnstorableData
from runtime.codec import PayloadKeyMissing

logger = logging.getLogger("api")

MEDIA_TYPE = "application/problem+json"
_KEY = "Idempotency-Key"
RETRY_AFTER = 2  # seconds
# Starlette answers a bug outside of all middleware, so this answer brings its headers along.
_STRICT = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Problem(Exception):
    """An answer that is an error. `code` becomes the last part of `type` and stays stable."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> JSONResponse:
        body: dict[str, Any] = {
            "type": f"urn:problem:checkout:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            body["detail"] = self.detail
        return JSONResponse(body | self.members, self.status, self.headers, media_type=MEDIA_TYPE)


def declared(problems: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: its own problems by status, each with its description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {status: {"description": description, "content": content} for status, description in problems.items()}


def unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "Not available at the moment", detail, headers={"Retry-After": str(RETRY_AFTER)})


def order_not_found() -> Problem:
    """The same for every id that is no order of ours, whatever it looks like."""
    return Problem(404, "order-not-found", "There is no such order")


def invalid(errors: list[dict[str, str]]) -> Problem:
    """422 with every field that is wrong: `errors` is a list of `{field, message}`."""
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return Problem(422, "invalid-request", "The request is not valid", detail, errors=errors)


def invalid_fields(error: ValidationError | RequestValidationError) -> Problem:
    return invalid([{"field": _field(item["loc"]), "message": str(item["msg"])} for item in error.errors()[:20]])


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "items", 0, "sku")` → `items[0].sku`."""
    path = ""
    for part in location:
        if part in ("body", "query", "path", "header") and not path:
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def echo(request: Request, headers: Mapping[str, str]) -> None:
    """Headers that whatever answer `request` gets will have, also one that is an error."""
    request.state.echoed = dict(headers)


def _echoed(request: Request) -> dict[str, str]:
    headers: dict[str, str] = getattr(request.state, "echoed", {})
    return headers


def _answer(request: Request, problem: Problem) -> JSONResponse:
    problem.headers |= _echoed(request)
    return problem.response()


def install(app: FastAPI) -> None:
    """Register one renderer for everything that can go wrong."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return _answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(item["type"] == "json_invalid" for item in error.errors()):
            return _answer(request, Problem(400, "malformed-json", "The body is not valid JSON"))
        return _answer(request, invalid_fields(error))

    @app.exception_handler(InvalidKey)
    async def invalid_key(request: Request, error: InvalidKey) -> JSONResponse:
        return _answer(request, Problem(400, error.code, "Not a checkout key", str(error)))

    @app.exception_handler(OrderNotFound)
    async def unknown_order(request: Request, _: OrderNotFound) -> JSONResponse:
        return _answer(request, order_not_found())

    @app.exception_handler(ProductNotFound)
    async def product_not_found(request: Request, error: ProductNotFound) -> JSONResponse:
        return _answer(request, invalid([{"field": "sku", "message": str(error)}]))

    @app.exception_handler(UnstorableData)
    async def unstorable(request: Request, _: UnstorableData) -> JSONResponse:
        return _answer(request, invalid([{"field": "body", "message": "has characters that cannot be stored"}]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = "body-too-large" if error.status_code == 413 else f"http-{error.status_code}"
        return _answer(request, Problem(error.status_code, code, str(error.detail), headers=error.headers))

    async def away(request: Request, error: Exception) -> JSONResponse:
        if _is_unfit_for_text(error):
            return _answer(request, Problem(400, "invalid-text", "The request holds characters that no text can"))
        logger.warning("%s %s: %s", request.method, _route(request), _brief(error))
        again = "sending the same request again"
        if _KEY in _echoed(request):
            again = f"sending it again with this answer's {_KEY}"  # without, it would be another order
        return _answer(request, unavailable(f"Nothing was lost; {again} is safe."))

    for kind in (
        PayloadKeyMissing,
        SQLAlchemyError,
        PoolTimeoutError,
        PostgresError,
        InterfaceError,
        RPCError,
        OSError,
        TimeoutError,
    ):
        app.add_exception_handler(kind, away)

    @app.exception_handler(RuntimeError)
    async def maybe_away(request: Request, error: RuntimeError) -> JSONResponse:
        # A gateway that has never reached Temporal yet gets this from the SDK, and no RPCError.
        if not str(error).startswith("Failed client connect"):
            raise error
        return await away(request, error)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, _route(request), exc_info=error)
        return _answer(request, Problem(500, "internal-error", "Something went wrong on our side", headers=_STRICT))


def _is_unfit_for_text(error: Exception) -> bool:
    """SQLSTATE 22021: what was sent holds a NUL, which PostgreSQL's text cannot."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) == "22021" or "unsupported Unicode" in str(cause)[:200]


def _route(request: Request) -> str:
    """The route's pattern, for the log: keys and order ids are permissions and belong in no log."""
    return str(getattr(request.scope.get("route"), "path", "unmatched"))


def _brief(error: Exception) -> str:
    """An error without its SQL, whose parameters may be personal data (SQLAlchemy quotes them), in one line."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
