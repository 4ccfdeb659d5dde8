"""Problems and waits, told to people: a page instead of JSON when a browser asks. The words are in `message.html`."""

from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from api.problems import Problem
from api.web.rendering import page, payment_targets


def problem_page(request: Request, problem: Problem) -> Response:
    """A page for the problem, with the cart that was sent, if one was."""
    prices = {
        each["sku"]: {"expected_unit_amount": each["unit_amount"], "expected_currency": each["currency"]}
        for each in problem.members.get("products", [])
    }
    return page(
        "message.html",
        problem.status,
        headers=problem.headers,
        form_action=payment_targets(request.app.state.settings),
        code=problem.code,
        title=problem.title,
        detail=problem.detail,
        cart=_cart(request, prices),
    )


def waiting_page(request: Request, headers: dict[str, str]) -> Response:
    """202 for a browser without script: the checkout has begun; pressing again goes on waiting."""
    return problem_page(request, Problem(202, "waiting", "Your order has begun", headers=headers))


def _cart(request: Request, prices: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
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
