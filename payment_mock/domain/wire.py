"""Stripe's object shapes (docs.stripe.com/api/checkout/sessions/object and siblings).

What is the same in every object of a kind is in `objects.json`; here is what is told of this one.
"""

import json
from collections.abc import Collection
from pathlib import Path
from time import time
from typing import Any

from payment_mock.domain.methods import method
from payment_mock.domain.objects import Dispute, Refund, Session

API_VERSION = "2026-10-28.endive"
Json = dict[str, Any]
_ALWAYS: dict[str, Json] = json.loads((Path(__file__).parent / "objects.json").read_text(encoding="utf-8"))
_DECLINE_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
}


_DETAILS: dict[str, Json] = {
    "card": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
    "us_bank_account": {
        "us_bank_account": {"bank_name": "STRIPE TEST BANK", "last4": "6789"},
        "type": "us_bank_account",
    },
    "sepa_debit": {"sepa_debit": {"bank_code": "37040044", "country": "DE", "last4": "3000"}, "type": "sepa_debit"},
}


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def decline_message(decline_code: str) -> str:
    return _DECLINE_MESSAGES.get(decline_code, "Your card was declined.")


def _failure(session: Session) -> str | None:
    if session.decline_code is None or not method(session.payment_method).takes_days:
        return session.decline_code and decline_message(session.decline_code)
    return f"The customer's bank refused the debit ({session.decline_code})."


def _object(kind: str, identifier: str | None, **fields: Any) -> Json:
    return {"id": identifier, "object": kind, **_ALWAYS[kind], **fields}


def session_object(session: Session, public_url: str, expand: Collection[str] = ()) -> Json:
    """A `checkout.session`. `expand` understands `payment_intent`, `payment_intent.latest_charge`, `line_items`."""
    intent: str | Json | None = session.payment_intent
    if intent is not None and any(path.startswith("payment_intent") for path in expand):
        intent = payment_intent_object(session, "payment_intent.latest_charge" in expand)
    email = session.customer_email
    shown = _object(
        "checkout.session",
        session.id,
        amount_subtotal=session.amount_total,
        amount_total=session.amount_total,
        cancel_url=session.cancel_url,
        client_reference_id=session.client_reference_id,
        created=session.created,
        currency=session.currency,
        customer_details={"email": email, "name": None, "phone": None, "tax_exempt": "none"} if email else None,
        customer_email=email,
        expires_at=session.expires_at,
        metadata=dict(session.metadata),
        payment_intent=intent,
        payment_method_types=list(session.payment_method_types),
        payment_status=session.payment_status,
        status=session.status,
        success_url=session.success_url,
        # Stripe takes the address away once nobody can pay there any more.
        url=f"{public_url}/payment/{session.id}" if session.status == "open" else None,
    )
    return shown | {"line_items": line_items_object(session)} if "line_items" in expand else shown


def line_items_object(session: Session) -> Json:
    items = []
    for number, item in enumerate(session.line_items):
        total, own = item["unit_amount"] * item["quantity"], f"{number}{session.id[-16:]}"
        price = _object("price", f"price_{own}", currency=session.currency, unit_amount=item["unit_amount"])
        what = {"description": item["description"], "quantity": item["quantity"], "currency": session.currency}
        items.append(_object("item", f"li_{own}", amount_subtotal=total, amount_total=total, price=price, **what))
    return list_object(items, f"/v1/checkout/sessions/{session.id}/line_items")


def payment_intent_object(session: Session, expand_charge: bool = False) -> Json:
    """A `payment_intent`: exists from the first attempt to pay on."""
    error = None
    if session.decline_code is not None and not session.is_paid:
        code = session.decline_code if method(session.payment_method).takes_days else "card_declined"
        why = {"decline_code": session.decline_code, "message": _failure(session)}
        error = {"type": "card_error", "code": code, **why}
    unpaid = "canceled" if session.status == "expired" else "requires_payment_method"
    if session.is_processing:
        unpaid = "processing"
    return _object(
        "payment_intent",
        session.payment_intent,
        amount=session.amount_total,
        amount_received=session.amount_total if session.is_paid else 0,
        created=session.created,
        currency=session.currency,
        last_payment_error=error,
        latest_charge=charge_object(session) if expand_charge and session.charge else session.charge,
        metadata=dict(session.payment_intent_metadata),
        payment_method=session.payment_method if session.is_paid or session.is_processing else None,
        payment_method_types=list(session.payment_method_types),
        status="succeeded" if session.is_paid else unpaid,
    )


def charge_object(session: Session) -> Json:
    return _object(
        "charge",
        session.charge,
        amount=session.amount_total,
        amount_captured=session.amount_total if session.is_paid else 0,
        amount_refunded=session.amount_refunded,
        billing_details={"address": None, "email": session.customer_email, "name": None, "phone": None},
        captured=session.is_paid,
        created=session.paid_at or session.created,
        currency=session.currency,
        disputed=session.dispute_status is not None,
        failure_code=session.decline_code,
        failure_message=_failure(session),
        metadata=dict(session.payment_intent_metadata),
        outcome={"network_status": "approved_by_network", "type": "authorized"},
        paid=session.is_paid,
        payment_intent=session.payment_intent,
        payment_method=session.payment_method,
        payment_method_details=_DETAILS[method(session.payment_method).type],
        refunded=session.amount_refunded >= session.amount_total,
        status="succeeded" if session.is_paid else "pending" if session.is_processing else "failed",
    )


def refund_object(refund: Refund) -> Json:
    return _object(
        "refund",
        refund.id,
        amount=refund.amount,
        charge=refund.charge,
        created=refund.created,
        currency=refund.currency,
        metadata=dict(refund.metadata),
        payment_intent=refund.payment_intent,
        reason=refund.reason,
        status=refund.status,
        **({"failure_reason": refund.failure_reason} if refund.failure_reason else {}),
    )


def dispute_object(dispute: Dispute) -> Json:
    past_due = time() > dispute.due_by
    return _object(
        "dispute",
        dispute.id,
        amount=dispute.amount,
        charge=dispute.charge,
        created=dispute.created,
        currency=dispute.currency,
        evidence_details={
            "due_by": dispute.due_by,
            "enhanced_eligibility": {},
            "has_evidence": dispute.has_evidence,
            "past_due": past_due,
            "submission_count": int(dispute.has_evidence),
        },
        is_charge_refundable=dispute.status.startswith("warning_"),
        payment_intent=dispute.payment_intent,
        reason=dispute.reason,
        status=dispute.status,
    )


def event_object(event_id: str, type_: str, created: int, data: Json) -> Json:
    return _object("event", event_id, api_version=API_VERSION, created=created, data={"object": data}, type=type_)


def list_object(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
