"""Stripe's object shapes (docs.stripe.com/api/checkout/sessions/object and siblings), built from stored sessions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from payment_mock.domain.session import Refund, Session

API_VERSION = "2026-10-28.endive"
Json = dict[str, Any]

_DECLINE_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
}


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def decline_message(decline_code: str) -> str:
    return _DECLINE_MESSAGES.get(decline_code, "Your card was declined.")


def session_object(session: Session, public_url: str, expand: Iterable[str] = ()) -> Json:
    """A `checkout.session`. `expand` understands `payment_intent`, `payment_intent.latest_charge`, `line_items`."""
    intent: str | Json | None = session.payment_intent
    wanted = tuple(expand)
    if wanted and intent is not None and any(path.split(".")[0] == "payment_intent" for path in wanted):
        intent = payment_intent_object(session, "payment_intent.latest_charge" in wanted)
    email = session.customer_email
    shown: Json = {
        "id": session.id,
        "object": "checkout.session",
        "adaptive_pricing": None,
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": session.amount_total,
        "amount_total": session.amount_total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": session.created,
        "currency": session.currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None},
        "customer": None,
        "customer_creation": "if_required",
        "customer_details": {"email": email, "name": None, "phone": None, "tax_exempt": "none"} if email else None,
        "customer_email": email,
        "discounts": [],
        "expires_at": session.expires_at,
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": None,
        "metadata": dict(session.metadata or {}),
        "mode": "payment",
        "payment_intent": intent,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": list(session.payment_method_types),
        "payment_status": session.payment_status,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": session.status,
        "submit_type": None,
        "subscription": None,
        "success_url": session.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        # Stripe takes the address away once nobody can pay there any more.
        "url": f"{public_url}/payment/{session.id}" if session.status == "open" else None,
    }
    if "line_items" in wanted:
        shown["line_items"] = line_items_object(session)
    return shown


def line_items_object(session: Session) -> Json:
    url = f"/v1/checkout/sessions/{session.id}/line_items"
    items = []
    for number, item in enumerate(session.line_items):
        total = item.unit_amount * item.quantity
        items.append(
            {
                "id": f"li_{number}{session.id[-16:]}",
                "object": "item",
                "amount_discount": 0,
                "amount_subtotal": total,
                "amount_tax": 0,
                "amount_total": total,
                "currency": session.currency,
                "description": item.description,
                "price": {
                    "id": f"price_{number}{session.id[-16:]}",
                    "object": "price",
                    "active": False,
                    "currency": session.currency,
                    "type": "one_time",
                    "unit_amount": item.unit_amount,
                },
                "quantity": item.quantity,
            }
        )
    return list_object(items, url, has_more=False)


def payment_intent_object(session: Session, expand_charge: bool = False) -> Json:
    """A `payment_intent`: exists from the first attempt to pay on."""
    paid = session.payment_status == "paid"
    declined = session.decline_code is not None and not paid
    unpaid = "canceled" if session.status == "expired" else "requires_payment_method"
    error = None
    if declined and session.decline_code:
        error = {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": session.decline_code,
            "message": decline_message(session.decline_code),
        }
    return {
        "id": session.payment_intent,
        "object": "payment_intent",
        "amount": session.amount_total,
        "amount_capturable": 0,
        "amount_received": session.amount_total if paid else 0,
        "application": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": session.created,
        "currency": session.currency,
        "customer": None,
        "description": None,
        "last_payment_error": error,
        "latest_charge": charge_object(session) if expand_charge and session.charge else session.charge,
        "livemode": False,
        "metadata": dict(session.payment_intent_metadata or {}),
        "next_action": None,
        "payment_method": "pm_card_visa" if paid else None,
        "payment_method_types": list(session.payment_method_types),
        "receipt_email": None,
        "status": "succeeded" if paid else unpaid,
    }


def charge_object(session: Session) -> Json:
    return {
        "id": session.charge,
        "object": "charge",
        "amount": session.amount_total,
        "amount_captured": session.amount_total,
        "amount_refunded": session.amount_refunded,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": session.customer_email, "name": None, "phone": None},
        "captured": True,
        "created": session.paid_at or session.created,
        "currency": session.currency,
        "customer": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": dict(session.payment_intent_metadata or {}),
        "outcome": {"network_status": "approved_by_network", "type": "authorized"},
        "paid": True,
        "payment_intent": session.payment_intent,
        "payment_method": "pm_card_visa",
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
        "receipt_url": None,
        "refunded": session.amount_refunded >= session.amount_total,
        "status": "succeeded",
    }


def refund_object(refund: Refund) -> Json:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": None,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "metadata": dict(refund.metadata),
        "payment_intent": refund.payment_intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def event_object(event_id: str, type_: str, created: int, data: Mapping[str, Any]) -> Json:
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": {"object": data},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }


def list_object(data: list[Json], url: str, *, has_more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
