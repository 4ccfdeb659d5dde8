"""From an order to the answer of its checkout: one function, so that every repeat gives the same bytes."""

from datetime import UTC
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from api.problems import Problem
from api.schemas import CheckoutAnswer
from checkout.orders import Order, Reason
from checkout.payments import PaymentSession

# Status, code, title, and what the names of the SKUs that it is about are told with.
_CLOSED: dict[Reason | None, tuple[int, str, str, str]] = {
    Reason.OUT_OF_STOCK: (409, "out-of-stock", "Not enough in stock", "Out of stock"),
    Reason.WITHDRAWN: (409, "withdrawn", "No longer sold", "No longer sold"),
    Reason.PAYMENT_UNAVAILABLE: (502, "payment-unavailable", "The payment service did not open a session", ""),
}
_GIVEN_UP = (409, "checkout-closed", "This checkout was given up before it could be paid", "")
_NOTHING_HAPPENED = "Nothing was charged and nothing stays reserved. Try again with a new key."


def checkout_body(order: Order) -> bytes:
    """The JSON answer. Only values that never change once the session is recorded go into it."""
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


def checkout_response(request: Request, order: Order, headers: dict[str, str], *, is_form: bool = False) -> Response:
    """The answer in the form asked for: JSON, the guide's plain text, or a browser's way to the payment page. Raises a
    `Problem` that says why there is no session and never will be: the same for every repeat of the key."""
    headers = headers | {"Vary": "Accept"}
    session = order.session
    if session is None:
        raise _closed(order, headers)
    if is_form:
        return RedirectResponse(session.url, 303, headers)
    if request.headers.get("accept", "").split(",")[0].split(";")[0].strip() == "text/plain":
        lines = _curl_lines(session)
        told = f"Pay at:\n{session.url}\n"
        if lines:
            told = f"Submit payment:\n{lines['submit_payment']}\nCancel payment:\n{lines['cancel_payment']}\n"
        return PlainTextResponse(told, headers=headers)
    return Response(checkout_body(order), headers=headers, media_type="application/json")


def pending_response(checkout_key: str, headers: dict[str, str]) -> Response:
    headers = headers | {"Location": f"/checkout/{checkout_key}", "Retry-After": "1"}
    return JSONResponse({"checkout_key": checkout_key, "status": "pending"}, 202, headers)


def _closed(order: Order, headers: dict[str, str]) -> Problem:
    status, code, title, told_with = _CLOSED.get(order.reason, _GIVEN_UP)
    detail = _NOTHING_HAPPENED
    members: dict[str, Any] = {"order_id": order.order_id}
    if told_with:
        skus = order.missing_skus or []
        detail, members = f"{told_with}: {', '.join(skus)}", {"skus": skus, **members}
    return Problem(status, code, title, detail, headers=headers, **members)


def _curl_lines(session: PaymentSession) -> dict[str, str]:
    """What pays and what cancels at the payment mock; nothing at a real payment service."""
    if not session.simulator_url:
        return {}
    calls = ("submit_payment", "cancel_payment")
    return {
        call: f"curl -X POST {session.simulator_url}/api/{call} -d session_id={session.session_id}" for call in calls
    }
