"""Stripe's object shapes (docs.stripe.com/api/checkout/sessions/object and siblings): `objects.json` has a template for
each, in which `$name` is what is told here, or else the object's own attribute of that name."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from time import time
from typing import Any, cast

from starlette.responses import Response

from payment_mock.domain.methods import method
from payment_mock.domain.objects import Change, Dispute, Json, Refund, Session, new_id

API_VERSION = "2026-10-28.endive"
_TEMPLATES: dict[str, Json] = json.loads((Path(__file__).parent / "objects.json").read_text(encoding="utf-8"))


def encode(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def response(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode(body), status, headers, "application/json")


def decline_message(decline_code: str) -> str:
    return "Your card has insufficient funds." if decline_code == "insufficient_funds" else "Your card was declined."


def _filled(template: Any, of: object, told: Json) -> Any:
    if isinstance(template, dict):
        return {name: _filled(value, of, told) for name, value in template.items()}
    if isinstance(template, str) and template.startswith("$"):
        name = template[1:]
        return told[name] if name in told else getattr(of, name)
    return template


def _object(kind: str, of: object = None, **told: Any) -> Json:
    return cast(Json, _filled(_TEMPLATES[kind], of, told))


def session_object(session: Session, public_url: str = "", expand: Collection[str] = ()) -> Json:
    """A `checkout.session`. `expand` understands `payment_intent`, `payment_intent.latest_charge`, `line_items`.

    Only an open session has an address, below `public_url`: Stripe takes it away once nobody can pay there any more.
    """
    intent: str | Json | None = session.payment_intent
    if intent is not None and any(path.startswith("payment_intent") for path in expand):
        intent = payment_intent_object(session, "payment_intent.latest_charge" in expand)
    shown = _object(
        "checkout.session",
        session,
        customer_details=_object("customer_details", session) if session.customer_email else None,
        intent=intent,
        url=f"{public_url}/payment/{session.id}" if session.status == "open" else None,
    )
    return shown | {"line_items": line_items_object(session)} if "line_items" in expand else shown


def line_items_object(session: Session) -> Json:
    items = []
    for number, item in enumerate(session.line_items):
        own = f"{number}{session.id[-16:]}"
        ids = {"item_id": f"li_{own}", "price_id": f"price_{own}"}
        items.append(_object("item", session, **item, **ids, total=item["unit_amount"] * item["quantity"]))
    return list_object(items, f"/v1/checkout/sessions/{session.id}/line_items")


def _failure(session: Session) -> str | None:
    if session.decline_code is None:
        return None
    if method(session.payment_method).takes_days:
        return f"The customer's bank refused the debit ({session.decline_code})."
    return decline_message(session.decline_code)


def payment_intent_object(session: Session, expand_charge: bool = False) -> Json:
    """A `payment_intent`: exists from the first attempt to pay on."""
    error = None
    if session.decline_code is not None and not session.is_paid:
        code = session.decline_code if method(session.payment_method).takes_days else "card_declined"
        why = {"decline_code": session.decline_code, "message": _failure(session)}
        error = {"type": "card_error", "code": code, **why}
    status = "canceled" if session.status == "expired" else "requires_payment_method"
    if session.is_paid or session.is_processing:
        status = "succeeded" if session.is_paid else "processing"
    return _object(
        "payment_intent",
        session,
        error=error,
        latest_charge=charge_object(session) if expand_charge and session.charge else session.charge,
        succeeding_method=session.payment_method if session.is_paid or session.is_processing else None,
        intent_status=status,
    )


def charge_object(session: Session) -> Json:
    return _object(
        "charge",
        session,
        charged_at=session.paid_at or session.created,
        is_disputed=session.dispute_status is not None,
        failure_message=_failure(session),
        payment_method_details=_TEMPLATES["payment_method_details"][method(session.payment_method).type],
        is_refunded=session.left <= 0,
        charge_status="succeeded" if session.is_paid else "pending" if session.is_processing else "failed",
    )


def reversal_object(reversal: Refund | Dispute) -> Json:
    """A `refund` or a `dispute`."""
    if isinstance(reversal, Refund):
        failure = {"failure_reason": reversal.failure_reason} if reversal.failure_reason else {}
        return _object("refund", reversal) | failure
    return _object(
        "dispute",
        reversal,
        past_due=time() > reversal.due_by,
        submissions=int(reversal.has_evidence),
        is_inquiry=reversal.status.startswith("warning_"),
    )


def reversal_of(made: Change) -> Json:
    """What a transition that was not refused has made or changed."""
    assert made.reversal is not None
    return reversal_object(made.reversal)


def event(type_: str, about: Json) -> Json:
    """docs.stripe.com/api/events"""
    return _object("event", id=new_id("evt_1"), api_version=API_VERSION, now=int(time()), about=about, type=type_)


def list_object(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
