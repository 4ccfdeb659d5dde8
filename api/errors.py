"""Whatever goes wrong becomes a problem here, and is rendered here: JSON for programs, a page for people.

HTTP status belongs to the gateway; domain errors carry codes.
"""

import logging
import re

from asyncpg import InterfaceError, PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from temporalio.service import RPCError

from api.problems import Problem, echoed, invalid, invalid_fields, order_not_found, unavailable
from api.web.messages import problem_page
from api.web.rendering import wants_page
from checkout.errors import (
    CheckoutError,
    InvalidKey,
    KeyReused,
    NotEnoughStock,
    OrderNotFound,
    PayloadKeyMissing,
    ProductNotFound,
    SettingsError,
    UnstorableData,
    WritesRefused,
)

logger = logging.getLogger("api")

_KEY = "Idempotency-Key"
_ORDER_ID = re.compile(r"ord_[0-9a-f]{32}", re.ASCII)
# PostgreSQL or Temporal do not answer, or what they keep cannot be read.
_AWAY = (
    PayloadKeyMissing,
    SettingsError,
    WritesRefused,
    SQLAlchemyError,
    PostgresError,
    InterfaceError,
    RPCError,
    OSError,
)
_OURS = (Problem, RequestValidationError, HTTPException, ClientDisconnect, CheckoutError)


def install(app: FastAPI) -> None:
    """Register the one renderer for all that is known to go wrong; the rest ends in `api.middleware.LastWords`."""
    for kind in (*_OURS, *_AWAY):
        app.add_exception_handler(kind, answer)


def respond(request: Request, problem: Problem) -> Response:
    """The problem in the form that was asked for, with what every answer to this request has to say."""
    problem.headers |= echoed(request)
    return problem_page(request, problem) if wants_page(request) else problem.response()


async def answer(request: Request, error: Exception) -> Response:
    return respond(request, _problem_of(request, error))


def _problem_of(request: Request, error: Exception) -> Problem:
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
        case InvalidKey():
            return Problem(400, error.code, "Not a checkout key", str(error))
        case KeyReused():
            return Problem(422, error.code, "This key belongs to another refund", str(error))
        case OrderNotFound():
            return order_not_found()
        case ProductNotFound():
            return invalid([{"field": "sku", "message": str(error)}])
        case NotEnoughStock():
            return Problem(409, error.code, "Not enough in stock", str(error), available=error.available)
        case UnstorableData():
            return invalid([{"field": "body", "message": "has characters that cannot be stored"}])
        case SQLAlchemyError() | PostgresError() if _is_unfit_for_text(error):
            return Problem(400, "invalid-text", "The request holds characters that no text can")
        case _ if isinstance(error, _AWAY) or _is_first_contact(error):
            logger.warning("%s %s: %s", request.method, _route(request), _brief(error), extra=_about(request))
            again = "sending the same request again"
            if _KEY in echoed(request):
                again = f"sending it again with this answer's {_KEY}"  # without, it would be another order
            return unavailable(f"Nothing was lost; {again} is safe.")
    logger.error("%s %s failed", request.method, _route(request), exc_info=error, extra=_about(request))
    return Problem(500, "internal-error", "Something went wrong on our side")


def _is_first_contact(error: Exception) -> bool:
    """A gateway that has never reached Temporal yet gets this from the SDK, and no RPCError."""
    return isinstance(error, RuntimeError) and str(error).startswith("Failed client connect")


def _is_unfit_for_text(error: Exception) -> bool:
    """SQLSTATE 22021: what was sent holds a NUL, which PostgreSQL's text cannot."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) == "22021" or "unsupported Unicode" in str(cause)[:200]


def _route(request: Request) -> str:
    """The route's pattern, for the line that everybody reads."""
    return str(getattr(request.scope.get("route"), "path", "unmatched"))


def _about(request: Request) -> dict[str, str]:
    """The line's fields, for whoever searches for an order: what was asked for, as far as it can be an id or a key."""
    order_id, key = str(request.path_params.get("order_id", "")), echoed(request).get(_KEY)
    fields = {"order_id": order_id} if _ORDER_ID.fullmatch(order_id) else {}
    return {**fields, "checkout_key": key} if key else fields


def _brief(error: Exception) -> str:
    """An error without its SQL, whose parameters may be personal data (SQLAlchemy quotes them), in one line."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
