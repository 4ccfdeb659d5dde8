"""Events fetched from the payment service, should its webhook never have arrived (Stripe API reference, "List all
events": kept for 30 days)."""

from typing import Any

import httpx

from api.hints import SessionEvent
from api.problems import Problem
from api.webhooks import session_event
from runtime.egress import api_base, client_options
from runtime.settings import Settings

_PAGES = 5  # of 100 events: how far back to look
_TIMEOUT = 5.0  # seconds for each
_ENDS = ("completed", "expired", "async_payment_succeeded", "async_payment_failed")


async def last_event(settings: Settings, session_id: str) -> SessionEvent | None:
    """The newest event about how the session ended, or None. It needs no signature, for we fetched it ourselves. Raises
    a 502 `Problem` when the payment service does not answer."""
    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    options = {"base_url": api_base(settings), "headers": headers, "timeout": _TIMEOUT, **client_options(settings)}
    query: dict[str, Any] = {"limit": 100, "types[]": [f"checkout.session.{end}" for end in _ENDS]}
    try:
        async with httpx.AsyncClient(**options) as client:
            for _ in range(_PAGES):
                answer = (await client.get("/v1/events", params=query)).raise_for_status().json()
                for event in answer["data"]:
                    if event["type"].startswith("checkout.session.") and event["data"]["object"]["id"] == session_id:
                        return session_event(event)
                if not answer["has_more"]:
                    break
                query["starting_after"] = answer["data"][-1]["id"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        raise Problem(502, "payment-unreachable", "The payment service does not answer", "Try again later.") from None
    return None
