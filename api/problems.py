"""Whatever goes wrong becomes a problem (RFC 9457). It names what the client can act on and never quotes internals: no
SQL, no stack, no secrets. `api.middleware.last_words` tells it, to programs or to people."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from asyncpg import InterfaceError, PostgresError
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Scope
from temporalio.service import RPCError

from checkout import errors
from db.engine import sqlstate

logger = logging.getLogger("api")

MEDIA_TYPE = "application/problem+json"
_KEY = "Idempotency-Key"
_ORDER_ID = re.compile(r"ord_[0-9a-f]{32}", re.ASCII)
_TOLD = {
    errors.InvalidKey: (400, "Not a checkout key"),
    errors.KeyReused: (422, "This key belongs to another refund"),  # a checkout's is told by `api.checkouts`
    errors.NotEnoughStock: (409, "Not enough in stock"),
    errors.NotRefundable: (409, "There is no payment to give back"),
    errors.RefundExceedsPayment: (409, "So much of the payment is not left"),
    errors.RefundLinesExceedOrder: (409, "So many were not bought, or are refunded"),
}
POSTGRES_AWAY = (SQLAlchemyError, PostgresError, InterfaceError, OSError)
# PostgreSQL or Temporal do not answer, or what they keep cannot be read.
_AWAY = (errors.PayloadKeyMissing, errors.SettingsError, errors.WritesRefused, RPCError, *POSTGRES_AWAY)


class ProblemOut(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None


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
        self.headers, self.members = dict(headers or {}), members

    def response(self) -> JSONResponse:
        kind = f"urn:problem:checkout:{self.code}"
        told = ProblemOut(type=kind, title=self.title, status=self.status, code=self.code, detail=self.detail or None)
        body = told.model_dump(exclude_none=True) | self.members
        return JSONResponse(body, self.status, self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "Not available at the moment", detail, headers={"Retry-After": "2"})


def malformed_json(detail: str | None = None) -> Problem:
    return Problem(400, "malformed-json", "The body is not valid JSON", detail)


def invalid(*wrong: tuple[str, str]) -> Problem:
    """422 with every field that is wrong, and what is wrong with it."""
    detail = "; ".join(f"{field}: {message}" for field, message in wrong)
    errors = [{"field": field, "message": message} for field, message in wrong]
    return Problem(422, "invalid-request", "The request is not valid", detail, errors=errors)


def invalid_fields(error: ValidationError | RequestValidationError) -> Problem:
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return malformed_json()
    return invalid(*((_field(item["loc"]), str(item["msg"])) for item in error.errors()[:20]))


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "items", 0, "sku")` → `items[0].sku`."""
    path = ""
    for part in location:
        if part in ("body", "query", "path", "header") and not path:
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def echo(request: Request, headers: Mapping[str, str]) -> None:
    """Set the headers that the answer to `request` will have, whatever it is, an error included."""
    request.state.echoed = dict(headers)


def echoed(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = scope.get("state", {}).get("echoed", {})
    return headers


def problem_of(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return invalid_fields(error)
        case HTTPException(status_code=413):
            return Problem(413, "body-too-large", "The body is too large", str(error.detail), headers=error.headers)
        case HTTPException():
            return Problem(error.status_code, f"http-{error.status_code}", str(error.detail), headers=error.headers)
        case ClientDisconnect():  # told to nobody, but counted
            return Problem(400, "incomplete-body", "The body was not sent whole")
        case errors.CheckoutError() if type(error) in _TOLD:
            status, title = _TOLD[type(error)]
            return Problem(status, error.code, title, str(error), **vars(error))
        case errors.OrderNotFound():  # the same for every id that is no order of ours, whatever it looks like
            return Problem(404, error.code, "There is no such order")
        case errors.ProductNotFound():
            return invalid(("sku", str(error)))
        case errors.UnstorableData():
            return invalid(("body", "has characters that cannot be stored"))
        case SQLAlchemyError() | PostgresError() if _is_unfit_for_text(error):
            return Problem(400, "invalid-text", "The request holds characters that no text can")
    # By the route's pattern, for everybody reads it; what was asked for is in the line's fields.
    where = f"{request.method} {getattr(request.scope.get('route'), 'path', 'unmatched')}"
    key, order_id = echoed(request.scope).get(_KEY), str(request.path_params.get("order_id", ""))
    about: dict[str, str] = {"order_id": order_id} if _ORDER_ID.fullmatch(order_id) else {}
    if key:
        about["checkout_key"] = key
    if isinstance(error, _AWAY) or _is_first_contact(error):
        logger.warning("%s: %s", where, _brief(error), extra=about)
        # Without its key it would be another order.
        again = f"sending it again with this answer's {_KEY}" if key else "sending the same request again"
        return unavailable(f"Nothing was lost; {again} is safe.")
    logger.error("%s failed", where, exc_info=error, extra=about)
    return Problem(500, "internal-error", "Something went wrong on our side")


def _is_first_contact(error: Exception) -> bool:
    """A gateway that has never reached Temporal yet gets this from the SDK, and no RPCError."""
    return isinstance(error, RuntimeError) and str(error).startswith("Failed client connect")


def _is_unfit_for_text(error: Exception) -> bool:
    """SQLSTATE 22021: what was sent holds a NUL, which PostgreSQL's text cannot."""
    return sqlstate(error) == "22021" or "unsupported Unicode" in str(getattr(error, "orig", error))[:200]


def _brief(error: Exception) -> str:
    """An error without its SQL, whose parameters may be personal data (SQLAlchemy quotes them), in one line."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
