"""Whatever goes wrong becomes a problem here, and is rendered here: JSON for programs, a page for people."""

import logging
import re

from asyncpg import InterfaceError, PostgresError
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from temporalio.service import RPCError

from api.problems import Problem, echoed, invalid, invalid_fields, unavailable
from api.web.rendering import problem_page, wants_page
from checkout import errors
from db.engine import sqlstate

logger = logging.getLogger("api")

_KEY = "Idempotency-Key"
_ORDER_ID = re.compile(r"ord_[0-9a-f]{32}", re.ASCII)
_TOLD = {
    errors.InvalidKey: (400, "Not a checkout key"),
    errors.KeyReused: (422, "This key belongs to another refund"),
    errors.NotRefundable: (409, "There is no payment to give back"),
    errors.RefundExceedsPayment: (409, "So much of the payment is not left"),
    errors.RefundLinesExceedOrder: (409, "So many were not bought, or are refunded"),
}
# PostgreSQL or Temporal do not answer, or what they keep cannot be read.
_AWAY = (
    errors.PayloadKeyMissing,
    errors.SettingsError,
    errors.WritesRefused,
    SQLAlchemyError,
    PostgresError,
    InterfaceError,
    RPCError,
    OSError,
)


async def answer(request: Request, error: Exception) -> Response:
    """In the form that was asked for, with what every answer to this request has to say (`api.problems.echo`)."""
    problem = _problem_of(request, error)
    problem.headers |= echoed(request)
    return problem_page(request, problem) if wants_page(request) else problem.response()


def _problem_of(request: Request, error: Exception) -> Problem:
    # By the route's pattern, for everybody reads it; what was asked for is in the line's fields.
    where = f"{request.method} {getattr(request.scope.get('route'), 'path', 'unmatched')}"
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
            return Problem(status, error.code, title, str(error))
        case errors.NotEnoughStock():
            return Problem(409, error.code, "Not enough in stock", str(error), available=error.available)
        case errors.OrderNotFound():  # the same for every id that is no order of ours, whatever it looks like
            return Problem(404, error.code, "There is no such order")
        case errors.ProductNotFound():
            return invalid([{"field": "sku", "message": str(error)}])
        case errors.UnstorableData():
            return invalid([{"field": "body", "message": "has characters that cannot be stored"}])
        case SQLAlchemyError() | PostgresError() if _is_unfit_for_text(error):
            return Problem(400, "invalid-text", "The request holds characters that no text can")
        case _ if isinstance(error, _AWAY) or _is_first_contact(error):
            logger.warning("%s: %s", where, _brief(error), extra=_about(request))
            again = "sending the same request again"
            if _KEY in echoed(request):
                again = f"sending it again with this answer's {_KEY}"  # without, it would be another order
            return unavailable(f"Nothing was lost; {again} is safe.")
    logger.error("%s failed", where, exc_info=error, extra=_about(request))
    return Problem(500, "internal-error", "Something went wrong on our side")


def _is_first_contact(error: Exception) -> bool:
    """A gateway that has never reached Temporal yet gets this from the SDK, and no RPCError."""
    return isinstance(error, RuntimeError) and str(error).startswith("Failed client connect")


def _is_unfit_for_text(error: Exception) -> bool:
    """SQLSTATE 22021: what was sent holds a NUL, which PostgreSQL's text cannot."""
    return sqlstate(error) == "22021" or "unsupported Unicode" in str(getattr(error, "orig", error))[:200]


def _about(request: Request) -> dict[str, str]:
    """The line's fields, for whoever searches for an order: what was asked for, as far as it can be an id or a key."""
    order_id, key = str(request.path_params.get("order_id", "")), echoed(request).get(_KEY)
    fields = {"order_id": order_id} if _ORDER_ID.fullmatch(order_id) else {}
    return {**fields, "checkout_key": key} if key else fields


def _brief(error: Exception) -> str:
    """An error without its SQL, whose parameters may be personal data (SQLAlchemy quotes them), in one line."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
