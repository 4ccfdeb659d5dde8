"""What the checkout answers: where to pay, that it has begun, or why nothing came of it; and how OpenAPI describes
that."""

from datetime import UTC
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from api.openapi import declared
from api.problems import Problem
from api.web.rendering import first_accepted
from checkout.orders import Order, Reason
from checkout.sessions import PaymentSession


class CheckoutAnswer(BaseModel):
    """Where to pay. Byte-identical whenever the same key is sent again."""

    checkout_key: str
    order_id: str
    session_id: str
    payment_url: str
    amount_total: int
    currency: str
    expires_at: str
    submit_payment: str | None = Field(None, description="Only with the payment mock: the curl line that pays.")
    cancel_payment: str | None = Field(None, description="Only with the payment mock: the curl line that cancels.")


class CheckoutPending(BaseModel):
    """202: the checkout has begun, its session is not there yet. Post the key again to go on waiting."""

    checkout_key: str
    status: Literal["pending"] = "pending"


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": CheckoutAnswer,
        "description": "The session is open. Repeats of the key get the same bytes, and `Idempotent-Replayed: true`.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "headers": {
            "Idempotency-Key": {"schema": {"type": "string"}, "description": "The checkout's key."},
            "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` on a repeat."},
        },
    },
    202: {"model": CheckoutPending, "description": "Begun, not ready yet: post the same key again."},
    303: {"description": "To a browser's form: on to the payment page."},
    **declared(
        {
            400: "Broken JSON, or a bad or contradictory key.",
            409: "Out of stock, another price than was seen, or given up before its session.",
            413: "Body over 64 KiB.",
            422: "A field is wrong, or the key belongs to another cart.",
            429: "Over a rate or reservation cap.",
            502: "The payment service refuses for good; stock returned.",
            503: "Temporal or PostgreSQL is away; repeating is safe.",
        }
    ),
}
# Why there will never be a session: status, code, title, and what the names of the SKUs it is about are told with.
_CLOSED: dict[Reason | None, tuple[int, str, str, str]] = {
    Reason.OUT_OF_STOCK: (409, "out-of-stock", "Not enough in stock", "Out of stock"),
    Reason.WITHDRAWN: (409, "withdrawn", "No longer sold", "No longer sold"),
    Reason.PAYMENT_UNAVAILABLE: (502, "payment-unavailable", "The payment service did not open a session", ""),
}
_GIVEN_UP = (409, "checkout-closed", "This checkout was given up before it could be paid", "")
_NOTHING_HAPPENED = "Nothing was charged and nothing stays reserved. Try again with a new key."
_VARY = {"Vary": "Accept"}


def pending(checkout_key: str) -> Response:
    headers = {"Location": f"/checkout/{checkout_key}", "Retry-After": "1"}
    return JSONResponse(CheckoutPending(checkout_key=checkout_key).model_dump(), 202, headers)


def answer_of(request: Request, order: Order, *, is_form: bool = False) -> Response:
    """The answer in the form asked for: JSON, the guide's plain text, or a browser's way to the payment page. Raises a
    `Problem` that says why there is no session and never will be."""
    session = order.session
    if session is None:
        raise _closed(order)
    if is_form:
        return RedirectResponse(session.url, 303, _VARY)
    if first_accepted(request) == "text/plain":
        lines = _curl_lines(session)
        told = f"Pay at:\n{session.url}\n"
        if lines:
            told = f"Submit payment:\n{lines['submit_payment']}\nCancel payment:\n{lines['cancel_payment']}\n"
        return PlainTextResponse(told, headers=_VARY)
    return Response(checkout_body(order), headers=_VARY, media_type="application/json")


def checkout_body(order: Order) -> bytes:
    """The JSON answer, in bytes. Only values that never change once the session is recorded go into it."""
    session = order.session
    assert session is not None, "only an order with a session has an answer"
    answer = CheckoutAnswer(
        checkout_key=order.checkout_key,
        order_id=order.order_id,
        session_id=session.session_id,
        payment_url=session.url,
        amount_total=order.amount_total,
        currency=order.currency,
        expires_at=order.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **_curl_lines(session),
    )
    return answer.model_dump_json(exclude_none=True, ensure_ascii=True).encode()


def _closed(order: Order) -> Problem:
    status, code, title, told_with = _CLOSED.get(order.reason, _GIVEN_UP)
    if not told_with:
        return Problem(status, code, title, _NOTHING_HAPPENED, headers=_VARY, order_id=order.order_id)
    skus = order.missing_skus or []
    detail = f"{told_with}: {', '.join(skus)}"
    return Problem(status, code, title, detail, headers=_VARY, skus=skus, order_id=order.order_id)


def _curl_lines(session: PaymentSession) -> dict[str, str]:
    """What pays and what cancels at the payment mock; nothing at a real payment service."""
    if not session.simulator_url:
        return {}
    calls = ("submit_payment", "cancel_payment")
    return {
        call: f"curl -X POST {session.simulator_url}/api/{call} -d session_id={session.session_id}" for call in calls
    }
