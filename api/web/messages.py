"""Problems and waits, told to people: a page instead of JSON when a browser asks."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from api.problems import Problem
from api.web.rendering import page, payment_targets

_WORDS = {
    "out-of-stock": ("Not enough is left", ["Somebody was quicker. Nothing was charged and nothing is reserved."]),
    "price-changed": ("The price has changed", ["Your cart is kept. Look at it, and go on if you agree."]),
    "withdrawn": (
        "No longer sold",
        ["Nothing was charged and nothing is reserved. The rest can be bought without it."],
    ),
    "order-not-found": ("There is no such order", ["Check the address, or look into the shop."]),
    "payment-unavailable": (
        "The payment could not be opened",
        ["The payment service refused. Nothing was charged, nothing stays reserved. Please try again later."],
    ),
    "checkout-closed": (
        "This checkout was given up",
        ["It ended before it could be paid. Nothing was charged. Your cart can be bought anew."],
    ),
    "idempotency-key-reused": (
        "The cart has changed",
        ["This checkout was begun with another cart, and that order is untouched. Go back to buy this cart by itself."],
    ),
    "unavailable": (
        "We cannot be reached right now",
        ["Nothing was lost, and nothing was charged. Trying again is safe: it can never make a second order."],
    ),
    "too-many-requests": ("One moment, please", ["That was a little too much at once. Please wait and try again."]),
    "internal-error": ("Something went wrong on our side", ["Trying again is safe: it never makes a second order."]),
    "http-404": ("There is no such page", ["Check the address, or look into the shop."]),
}
_AGAIN = dict.fromkeys(("unavailable", "too-many-requests", "internal-error"), "Try again")
_AGAIN |= {"price-changed": "Buy at the new price"}


def problem_page(request: Request, problem: Problem) -> Response:
    """A page for the problem, with the cart that was sent, if one was."""
    title, text = _WORDS.get(problem.code, (problem.title, []))
    if problem.detail and (
        problem.code in ("out-of-stock", "price-changed", "withdrawn", "invalid-request") or not text
    ):
        text = [problem.detail, *text]
    prices = {
        each["sku"]: {"expected_unit_amount": each["unit_amount"], "expected_currency": each["currency"]}
        for each in problem.members.get("products", [])
    }
    return _message(request, problem.status, title, text, _AGAIN.get(problem.code), problem.headers, prices)


def waiting_page(request: Request, headers: dict[str, str]) -> Response:
    """202 for a browser without script: the checkout has begun; pressing again goes on waiting."""
    text = ["Your things are being set aside. The payment page is not ready yet; go on in a moment."]
    return _message(request, 202, "Your order has begun", text, "Go on to the payment", headers)


def _message(
    request: Request,
    status: int,
    title: str,
    text: list[str],
    again: str | None,
    headers: dict[str, str],
    prices: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    cart = _cart(request, prices)
    return page(
        "message.html",
        status,
        headers=headers,
        form_action=payment_targets(request.app.state.settings),
        title=title,
        text=text,
        cart=cart,
        again=again if cart else None,
        back=cart["url"] if cart else "/",
    )


def _cart(request: Request, prices: Mapping[str, Any]) -> dict[str, Any] | None:
    """The form that was sent (`api.routes.checkout` keeps it), as lines, and as the address that fills it in again.
    `prices` are those that its customer is told now."""
    form: dict[str, Any] | None = getattr(request.state, "form", None)
    # A field of the form may be called "items" as well: that is no cart, but a text.
    if not form or not isinstance(form.get("items"), list):
        return None
    lines = [item | prices.get(item["sku"], {}) for item in form["items"]]
    pairs = [(name, str(line[name])) for line in lines for name in ("sku", "quantity")]
    email = str(form.get("email", ""))
    url = "/?" + urlencode(pairs + ([("email", email)] if email else []))
    return {"lines": lines, "key": str(form.get("key", "")), "email": email, "url": url}
